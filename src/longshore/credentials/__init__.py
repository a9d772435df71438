"""The credential store of a host: CA bundles, client certificates, secrets. No worker process reads it."""
