"""Go source as statements and names: as much of the grammar as control flow needs, up to Go 1.27.

Law: pure, and never more than it can vouch for: expressions stay ranges of lexemes, and what cannot be parsed is
left out rather than guessed.
"""
