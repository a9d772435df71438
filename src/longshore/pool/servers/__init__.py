"""Connections to databases: opened, kept alive, cancelled, left."""
