"""Clients, from their first byte to their last."""
