"""Tests of ``longshore.proto.postgres``."""
