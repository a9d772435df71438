"""The library against connections that break."""
