"""The page of the admin database says what the program does; run as a program this writes the page anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from longshore.pool.admin.commands import HELP
from longshore.pool.admin.shows import SHOWS
from longshore.pool.metric_families import COUNTERS, GAUGES, HISTOGRAMS, LABELLED, PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "pool-admin.md"
OTHERS = (
    ("longshore_pool_clients", "gauge", "Clients, by `state`: what they do."),
    ("longshore_pool_servers", "gauge", "Server connections, by `state`: what they do."),
    ("longshore_pool_database_disabled", "gauge", "1 after DISABLE, until ENABLE; with the label `database` alone."),
)


def _table(heading: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)


def _commands() -> str:
    rows = ((f"`{each.command}`".replace("|", "\\|"), each.what) for each in HELP)
    return _table(("command", "what it does"), rows)


def _tables() -> str:
    parts = []
    for name, shown in SHOWS.items():
        rows = (
            (f"`{column.name}`", column.type.name.lower(), column.what.replace("|", "\\|"))
            for column in shown.table.columns
        )
        parts.append(f"### SHOW {name}\n\n{shown.table.what}\n\n{_table(('column', 'type', 'meaning'), rows)}")
    return "\n\n".join(parts)


def _metrics() -> str:
    def rows() -> Iterator[tuple[str, ...]]:
        for name, text, _ in COUNTERS:
            yield f"`longshore_pool_{name}_total`", "counter", text
        for name, text, _ in LABELLED:
            yield f"`longshore_pool_{name}_total`", "counter", f"{text} By `reason`."
        for name, text, _ in HISTOGRAMS:
            yield f"`longshore_pool_{name}`", "histogram", text
        for name, text, _ in GAUGES:
            yield f"`longshore_pool_{name}`", "gauge", text
        for name, text, _ in PLAIN:
            yield f"`longshore_pool_{name}`", "gauge", f"{text} Without labels."
        for name, kind, text in OTHERS:
            yield f"`{name}`", kind, text

    return _table(("metric", "kind", "meaning"), rows())


def made(page: str) -> str:
    """Return the page with its generated parts."""
    for name, text in (("commands", _commands()), ("tables", _tables()), ("metrics", _metrics())):
        pattern = re.compile(rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", re.DOTALL)
        found = pattern.search(page)
        assert found is not None, name
        page = f"{page[: found.start()]}{found[1]}\n{text}\n\n{found[2]}{page[found.end() :]}"
    return page


def test_the_page_says_every_command_column_and_metric() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == made(page), "run: python -m tests.docs.test_pool_admin"


if __name__ == "__main__":
    PAGE.write_text(made(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
