"""The templates of ``longshore init``, and the files of the project that each becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["PYTEST", "TEMPLATES", "Template", "project_files"]

FOLDER: Final = Path(__file__).parent / "templates"
COMMON: Final = FOLDER / "_common"
PLACEHOLDER: Final = re.compile(r"\{\{(\w+)\}\}")
PYTEST: Final = "pytest>=8.4"
"""What the tests of every project need."""
ABOUT: Final = "ABOUT.md"
"""What a template says of itself; it becomes a part of the project's README."""
RENAMED: Final = {
    "dev.vars.example": ".dev.vars.example",
    "gitignore": ".gitignore",
    "project.toml": "pyproject.toml",
}
"""Names that version control, linters and builds would act upon if they stood in our own tree."""


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of project."""

    name: str
    summary: str
    dependencies: tuple[str, ...] = ()
    """What the worker needs beyond Longshore."""
    test_dependencies: tuple[str, ...] = ()
    """What its tests need beyond pytest."""


_ALL: Final = (
    Template("hello", "answers every request with a greeting"),
    Template("gopher", "a page from Gopherspace through a raw socket, streamed"),
    Template("postgres", "rows from PostgreSQL with asyncpg", ("asyncpg>=0.31",), ("longshore[demo]",)),
    Template("mysql", "rows from MySQL or MariaDB with aiomysql", ("aiomysql>=0.3.2",)),
    Template("redis", "counts visits in Redis, one client for all requests", ("redis>=7",)),
    Template("smtp", "sends mail with STARTTLS, with aiosmtplib", ("aiosmtplib>=5",), ("aiosmtpd>=1.4.6",)),
    Template("mqtt", "publishes to MQTT and listens to it, with aiomqtt", ("aiomqtt>=2.5",)),
    Template("ssh", "runs a command on another machine, with asyncssh", ("asyncssh>=2.21",)),
    Template("ftp", "lists and streams files from FTP, with aioftp", ("aioftp>=0.28",)),
    Template("irc", "says what is posted in an IRC channel, through a raw socket"),
    Template("asgi", "a FastAPI application, WebSockets included", ("fastapi>=0.120",)),
)
TEMPLATES: Final = {template.name: template for template in _ALL}


def project_files(template: Template, name: str) -> dict[str, str]:
    """Return the files of a new project: from the path inside it to the text."""
    values = _values(template, name)
    files = {}
    for folder in (COMMON, FOLDER / template.name):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc" and path.name != ABOUT:
                relative = path.relative_to(folder)
                files[str(relative.with_name(RENAMED.get(path.name, path.name)))] = _filled(path, values)
    files.setdefault(".dev.vars.example", "# Copy to .dev.vars: secrets for `self.env`, one NAME=value a line.\n")
    return files


def _values(template: Template, name: str) -> dict[str, str]:
    wanted = ("longshore[workers]", *template.dependencies)
    for_tests = (PYTEST, *template.test_dependencies)
    return {
        "name": name,
        "dependencies": ", ".join(f'"{each}"' for each in wanted),
        "test_dependencies": ", ".join(f'"{each}"' for each in for_tests),
        "requirements": " ".join(f"'{each}'" if re.search(r"[\[>]", each) else each for each in (*wanted, *for_tests)),
        "about": (FOLDER / template.name / ABOUT).read_text(encoding="utf-8").strip(),
        "more": "| `schema.sql` | the table and its first rows |"
        if (FOLDER / template.name / "schema.sql").exists()
        else "",
    }


def _filled(path: Path, values: dict[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    return PLACEHOLDER.sub(lambda match: values[match[1]], text).rstrip("\n") + "\n"
