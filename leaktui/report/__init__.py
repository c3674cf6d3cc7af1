"""A diagnosis as JSON, plain text or Markdown.

Law: pure text out of a `Diagnosis`; the only thing read from disk is the source excerpt. Every string that
came from the target passes a `Redaction` on its way out.
"""
