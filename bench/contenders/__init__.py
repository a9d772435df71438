"""The programs that are measured, one module per way of doing network I/O.

Run by ``python -m bench.contenders``. Rule: a contender is written the way its own documentation would write
it, and gets the same work, the same pieces (256 KiB) and the same warm-up as every other one. A module here
imports nothing of ``bench`` but this package.
"""
