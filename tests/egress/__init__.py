"""The egress process."""
