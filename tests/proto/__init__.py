"""The PURE wire protocols."""
