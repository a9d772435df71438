"""Pools of database connections, in which no session feature breaks silently."""
