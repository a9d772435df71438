"""Writes ``docs/performance.md`` from the results of a full run (PURE: text in, text out)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.table import case_rows, target_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.model import BenchResult

__all__ = ["performance_page"]

_INTRODUCTION = """\
<!-- Written by `python -m bench report`; edit the bench, not this page. -->
# Performance

What Longshore costs, next to what it could be compared with. For sockets: a blocking C client, which is the limit; a
raw asyncio `Protocol`; and the peers a program would use instead. For workers: bare uvicorn, and workerd with the
equivalent JavaScript. **Ratios** are the result; absolute times belong to the machine.
"""

_METHOD = """\
## How it is measured

Every contender runs in the same run, rounds interleaved (A B A B …), in a process of its own; the client is
pinned to one core and the server to another. One round warms up, the others count; the tables show their
median and spread. *longshore ÷ it* is our median over that of the contender: below 1 is better for times
and memory, above 1 for rates. The C client, Node and trio do not run on an asyncio loop: the same rounds of
theirs stand in the tables of both loops. The servers are C programs; over TLS 1.3, the same Python server
for everyone.

- `echo`: 64 bytes there and back again on one connection. *of CPU* is how long the client computed for one; the
  rest it slept, and how fast a machine wakes a sleeper is the same for all.
- `longshore-no-poll` in the tables of `echo` and `dial` is the same library with `busy_poll_s=0`. By default Longshore
  does not go to sleep when an answer is likely to be on its way; the C client, which is blocking, and the peers do.
  Where *of CPU* equals the time, nothing slept.
- `bulk`: 1 GiB in and 1 GiB out in pieces of 256 KiB, up to the end of the stream or the acknowledgement of
  the server. *more memory* is how far the resident set grew while the gigabyte passed.
- `dial`: connect, one byte, the end of the stream, close.
- `idle`: resident memory of the client for each of 10,000 open connections.
- `flights`: round trips before the first request byte beyond those the protocol needs; *segments* are the TCP
  segments with data that the client sent up to there.
- `http`: the contenders are servers here, each with one process on one core, loaded by wrk from the other core with 50
  kept connections; all give the same answer, none logs its requests. uvicorn runs a bare ASGI function on uvloop and
  httptools; Longshore is `longshore serve` with a worker of the SDK.
- `http-socket`: each request opens a connection to an echo server, which shares the server's core, makes one round trip
  and closes it. uvicorn does so with asyncio's streams.
- `cold`: from the start of a server on a socket that listens already to the first byte of its first answer: a fork of
  Longshore's warm process, as for a reload; a fresh interpreter with uvicorn; a fresh workerd.
- `sandbox`: the same client in a worker of `longshore serve`, with every layer of the sandbox in force (*longshore*),
  and in a plain process (*outside*). Host, zygote, egress process and worker share the client's core. The blocking
  clients, in Python and in C, know nothing of Longshore; those that use `connect()` run in the worker itself. A start
  is that of a worker in its jail; *outside* is one with isolation off. Memory is what no other process shares, of the
  worker and the first process of its jail.

## Repeat it

```console
$ python -m bench report            # everything, then this page
$ python -m bench echo --quick      # one bench in seconds
$ python -m bench --help
```

It needs Linux, a C compiler, wrk and two cores; Node and workerd (`npm install --prefix bench/node`) take part where
they are installed.
"""


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    head, *body = rows
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in body:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"


def _machine(facts: Mapping[str, object]) -> Iterator[str]:
    yield "## The machine\n"
    yield f"{facts['processor']}, {facts['cores']} cores, {facts['system']}."
    versions = facts["versions"]
    assert isinstance(versions, dict)
    yield ", ".join(f"{name} {version}" for name, version in versions.items()) + ".\n"
    if not facts["pinned"]:
        yield "Processes were **not** pinned on this machine.\n"


def _bench(result: BenchResult) -> Iterator[str]:
    yield f"## `{result.bench}`\n"
    if result.scale.is_quick:
        yield "A `--quick` run: too short to conclude anything from.\n"
    yield from _table(target_rows(result))
    for case in result.cases:
        direction = "lower" if case.lower_is_better else "higher"
        yield f"\n### {case.case} ({case.unit}, {direction} is better)\n"
        yield from _table(case_rows(case))
    yield ""


def performance_page(results: Sequence[BenchResult]) -> str:
    """Return the page for these results.

    Raises:
        ValueError: there is none.
    """
    if not results:
        raise ValueError("no results to report")
    lines = [_INTRODUCTION, *_machine(results[0].machine)]
    for result in results:
        lines += _bench(result)
    return "\n".join([*lines, _METHOD])
