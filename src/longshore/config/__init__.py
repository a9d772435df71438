"""Reading ``longshore.toml``, ``wrangler.toml`` and ``wrangler.jsonc`` into one typed ``WorkerConfig``."""
