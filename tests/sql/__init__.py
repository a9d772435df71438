"""Tests of longshore.sql."""
