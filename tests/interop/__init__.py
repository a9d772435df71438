"""Every client that `docs/drivers.md` lists, unmodified, against real servers: outside, and inside of a worker.

- `matrix.py` says which clients there are and how each is run; `clients/` has a script for each, whose ``run(target)``
  connects, asks for something, and fails when the answer is not right, or did not come with the TLS that was asked for.
- `test_outside.py` runs each in a process of its own; `test_sandboxed.py` has `longshore serve` run a worker
  (`entry.py`), which runs them. `campaign.py` starts each server once and keeps two clients running.
- A new client is a row in `matrix.py`, a script in `clients/`, a line in the group ``interop`` of `pyproject.toml`,
  and a run of ``python -m tests.interop report``, which writes the page.
"""
