"""Tests of longshore.pool."""
