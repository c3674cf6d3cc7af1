"""The `delve` engine: see `leaktui.engines.delve.engine`. The guardian imports this, too: nothing is done here."""
