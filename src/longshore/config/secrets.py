"""Which secrets and connection strings a worker gets, and from where (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from longshore.config.checks import check_connection_string
from longshore.config.databases import database_binding
from longshore.config.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from longshore.config.dotenv import DotenvValue
    from longshore.config.merge import Merged
    from longshore.config.model import HyperdriveBinding
    from longshore.config.positions import KeyPath
    from longshore.config.report import Report
    from longshore.config.shape import HyperdriveShape

__all__ = ["HYPERDRIVE_VARIABLES", "Sources", "StoredSecret"]

StoredSecret: TypeAlias = "Callable[[str], str | None]"
"""Returns a secret of the credential store by name, None when there is none."""

HYPERDRIVE_VARIABLES: Final = (
    "LONGSHORE_HYPERDRIVE_",
    "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_",
    "WRANGLER_HYPERDRIVE_LOCAL_CONNECTION_STRING_",
)
"""Prefixes of the variables that give a binding's connection string; the first that is set wins."""


class Sources:
    """Where secret values come from.

    Args:
        files: lines ``NAME=value``.
        variables: the environment of this process.
        report: takes what is missing.
        is_dev: a missing secret is a notice only.
        stored: asks the credential store, last of all; raises ``ValueError`` for what is there and cannot be used.
    """

    def __init__(
        self,
        files: Mapping[str, DotenvValue],
        variables: Mapping[str, str],
        report: Report,
        *,
        is_dev: bool,
        stored: StoredSecret | None = None,
    ) -> None:
        self.files = files
        self.variables = variables
        self.report = report
        self.is_dev = is_dev
        self.stored = stored

    def secrets(self, merged: Merged, required: Sequence[str]) -> dict[str, str]:
        """Return the secrets; a missing one is a notice in ``dev`` and a problem in ``serve``.

        With ``secrets.required`` only the names listed there are secrets, taken from the files, or else from the
        environment, or else from the credential store; without it, everything that the files say is.
        """
        names = [name for name in self.files if not name.startswith(HYPERDRIVE_VARIABLES)]
        if not required:
            return {name: self.files[name].value for name in names}
        for name in names:
            if name not in required:
                place = f"{self.files[name].file}:{self.files[name].line}"
                message = f"does not list {name} ({place}), so env does not have it"
                self.report.notice(merged.path("secrets", "required"), message)
        return {
            name: value
            for index, name in enumerate(required)
            if (value := self._required(merged, index, name)) is not None
        }

    def _required(self, merged: Merged, index: int, name: str) -> str | None:
        if name in self.files:
            return self.files[name].value
        if name in self.variables:
            return self.variables[name]
        path = merged.path("secrets", "required", index)
        try:
            value = self.stored(name) if self.stored is not None else None
        except ValueError as error:
            self.report.problem(path, str(error))
            return None
        if value is None:
            self._missing(path, name)
        return value

    def _missing(self, path: KeyPath, name: str) -> None:
        if self.is_dev:
            message = f"secret {name!r} is not set: write it into .dev.vars, or set the environment variable {name}"
            self.report.notice(path, message)
        else:
            hint = f"run 'longshore secret put {name}', or set the environment variable {name}"
            self.report.problem(path, f"secret {name!r} is not set", hint)

    def hyperdrive(self, merged: Merged, entries: Sequence[HyperdriveShape]) -> tuple[HyperdriveBinding, ...]:
        """Return the bindings that have a connection string: from a variable, else from the configuration file."""
        found = [(entry, self._connection_string(merged, index, entry)) for index, entry in enumerate(entries)]
        return tuple(database_binding(each, text) for each, text in found if text)

    def _connection_string(self, merged: Merged, index: int, entry: HyperdriveShape) -> str | None:
        for name in (prefix + entry.binding for prefix in HYPERDRIVE_VARIABLES):
            if name in self.variables:
                return self._checked(self.variables[name], name, "environment variable", None)
            if name in self.files:
                return self._checked(self.files[name].value, name, self.files[name].file, self.files[name].line)
        local, ours = entry.localConnectionString, entry.connection_string
        value = (local or ours) if self.is_dev else (ours or local)
        path = merged.path("hyperdrive", index)
        if value is None:
            hint = (
                f"set the environment variable {HYPERDRIVE_VARIABLES[0]}{entry.binding}, or the key connection_string"
            )
            self.report.problem(path, f"binding {entry.binding!r} has no connection string", hint)
        elif not self.is_dev and ours is None:
            message = "is used by 'longshore serve' too, as there is no connection_string"
            self.report.notice((*path, "localConnectionString"), message)
        return value

    def _checked(self, value: str, name: str, file: str, line: int | None) -> str | None:
        try:
            check_connection_string(value)
        except ValueError as error:
            problem = Problem(message=str(error), key_path=name, file=file, line=line)
            self.report.problems.append(problem)
            return None
        return value
