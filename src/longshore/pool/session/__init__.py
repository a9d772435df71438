"""One client's session over changing server connections (PURE)."""
