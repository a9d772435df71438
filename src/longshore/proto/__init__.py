"""PURE wire protocols, one folder each."""
