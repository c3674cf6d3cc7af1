"""The panes: each a stack of levels, from a list down to a source line."""
