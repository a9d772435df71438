"""Configuration files, from text to ``WorkerConfig``."""
