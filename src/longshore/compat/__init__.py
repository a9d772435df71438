"""Names that workers written for other runtimes import: ``workers``, ``asgi``, ``cloudflare.sockets``."""
