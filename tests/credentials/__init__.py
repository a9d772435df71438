"""The credential store."""
