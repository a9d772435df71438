"""Tests of the read cache."""
