"""``python -P -m longshore.egress FD``."""

from __future__ import annotations

import sys

from longshore.egress.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
