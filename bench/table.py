"""The tables of a result as text (PURE): for the terminal, and as Markdown for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.model import BenchResult, CaseResult, Result

__all__ = ["aligned", "case_rows", "quantity", "render", "target_rows"]

Rows = list[list[str]]

_OURS = "longshore"
_SI = ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms"))
_BINARY = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def _seconds(value: float) -> str:
    for below, factor, unit in _SI:
        if value < below:
            return f"{value * factor:.1f} {unit}"
    return f"{value:.2f} s"


def _bytes(value: float) -> str:
    for size, unit in _BINARY:
        if abs(value) >= size:
            return f"{value / size:.2f} {unit}"
    return f"{value:.0f} B"


def quantity(value: float, unit: str) -> str:
    """Return a value as a person reads it: ``12.3 µs`` for 1.23e-05 s/op."""
    if unit == "s/op":
        return _seconds(value)
    if unit == "B/s":
        return f"{_bytes(value)}/s"
    if unit in {"B/socket", "B"}:
        return _bytes(value)
    if unit == "ms":
        return f"{value:.1f} ms"
    return f"{value:,.0f}"


def _extra(name: str, value: float) -> str:
    if name == "rss_growth_bytes":
        return f"{_bytes(value)} more memory"
    if name.startswith("cpu_s"):
        return f"{_seconds(value)} of CPU"
    return f"{value:.0f} {name}"


def _row(name: str, result: Result, case: CaseResult) -> list[str]:
    ours = case.contenders.get(_OURS)
    ratio = f"{ours.median / result.median:.2f}" if ours and result.median else "–"
    spread = f"{quantity(result.min, case.unit)} … {quantity(result.max, case.unit)}"
    notes = ", ".join(_extra(key, value) for key, value in result.extras.items())
    return [name, quantity(result.median, case.unit), spread, ratio, notes]


def case_rows(case: CaseResult) -> Rows:
    """Return head and rows of one case, the best contender first, the absent ones last."""
    head = ["contender", "median", "min … max", f"{_OURS} ÷ it", ""]
    order = sorted(case.contenders.items(), key=lambda item: item[1].median, reverse=not case.lower_is_better)
    rows = [head, *(_row(name, result, case) for name, result in order)]
    return rows + [[item.contender, "missing", item.why, "", ""] for item in case.missing]


def target_rows(result: BenchResult) -> Rows:
    """Return head and rows of the targets."""
    rows = [["target", "case", "ratio", "verdict", ""]]
    for verdict in result.targets:
        ratio = "–" if verdict.ratio is None else f"{verdict.ratio:.2f}"
        word = "met" if verdict.is_met else "not met"
        rows.append([verdict.claim, verdict.case, ratio, word, verdict.note])
    return rows


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows as lines of equally wide columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _measure(case: CaseResult) -> str:
    return f"{case.unit}, {'lower' if case.lower_is_better else 'higher'} is better"


def render(result: BenchResult) -> str:
    """Return all tables of a result for the terminal."""
    measures = list(dict.fromkeys(map(_measure, result.cases)))
    is_one = len(measures) == 1
    lines = [f"{result.bench} ({measures[0]})" if is_one else result.bench]
    for case in result.cases:
        title = case.case if is_one else f"{case.case} ({_measure(case)})"
        lines += ["", title, *(f"  {line}" for line in aligned(case_rows(case)))]
    return "\n".join([*lines, "", *aligned(target_rows(result))])
