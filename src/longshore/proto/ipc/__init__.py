"""PURE: what the host and its worker processes say to each other."""
