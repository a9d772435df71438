"""``python -m longshore`` is the command ``longshore``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from longshore.cli.main import main

        main()
    except KeyboardInterrupt:
        # While it was imported, or after everything was done.
        sys.exit(130)
