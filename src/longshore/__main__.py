"""``python -m longshore`` is the command ``longshore``."""

from __future__ import annotations

from longshore.cli.main import main

if __name__ == "__main__":
    main()
