"""Conformance kits against every implementation."""
