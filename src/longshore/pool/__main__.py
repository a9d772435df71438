"""``python -P -m longshore.pool FD``."""

from __future__ import annotations

import sys

from longshore.pool.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
