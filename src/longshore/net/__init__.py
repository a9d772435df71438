"""I/O adapters: the only importers of ``socket`` and ``ssl``, and where their errors become ours."""
