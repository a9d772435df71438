"""Tests of ``bench``: what it counts and says, never how fast anything is."""
