"""The credential store of the host: CA bundles, client certificates with their keys, secrets."""
