"""Runs workers: ``host`` is the parent process, ``worker`` what happens in each child."""
