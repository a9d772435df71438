"""Servers that no Debian package brings, as programs."""
