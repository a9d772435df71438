"""Collects what is wrong, and what is only worth knowing, each with its place (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.config.model import Notice
from longshore.config.positions import path_text

if TYPE_CHECKING:
    from longshore.config.document import Document
    from longshore.config.errors import Problem
    from longshore.config.positions import KeyPath

__all__ = ["Report"]


class Report:
    """Problems and notices about one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.notices: list[Notice] = []

    def problem(self, path: KeyPath, message: str, hint: str = "") -> None:
        """Record what is wrong with the value at ``path``."""
        self.problems.append(self.document.problem(path, message, hint))

    def notice(self, path: KeyPath, message: str, *, is_minor: bool = False) -> None:
        """Record what a person should know about the value at ``path``; a minor one changes nothing for the worker."""
        line = self.document.line(path)
        self.notices.append(Notice(key_path=path_text(path), message=message, line=line, is_minor=is_minor))

    def notice_about(self, what: str, message: str) -> None:
        """Record what a person should know about something that is not in the document."""
        self.notices.append(Notice(key_path=what, message=message))
