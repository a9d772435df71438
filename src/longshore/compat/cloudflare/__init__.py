"""``cloudflare`` where no package of that name is installed: ``cloudflare.sockets`` and ``cloudflare.workers``."""
