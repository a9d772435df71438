"""Tests of the pool as bindings."""
