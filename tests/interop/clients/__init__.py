"""One client each: ``run(target)`` connects, asks something whose answer shows how it came, and returns the answer."""
