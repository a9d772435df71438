"""Tests of the sandbox; most need Linux with user namespaces."""
