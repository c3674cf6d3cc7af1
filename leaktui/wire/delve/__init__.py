"""What Delve's JSON-RPC says, made into facts. No I/O."""
