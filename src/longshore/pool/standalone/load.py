"""``load_pool``: from a file to ``PoolSettings`` (shell: the one module here that reads files)."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Final

import msgspec

from longshore.config.document import decode_text, parse_document
from longshore.config.errors import ConfigError, Problem
from longshore.config.report import Report
from longshore.config.validate import validate
from longshore.credentials.errors import CredentialError
from longshore.credentials.kinds import Kind
from longshore.credentials.store import open_store
from longshore.pool.standalone.door import encryption
from longshore.pool.standalone.resolve import resolve
from longshore.pool.standalone.shape import PoolFile
from longshore.pool.standalone.users_file import parse_users

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from longshore.credentials.store import CredentialStore
    from longshore.pool.standalone.model import PoolSettings
    from longshore.proto.postgres.auth import Secret

__all__ = ["DEFAULT_FILE", "Files", "load_pool"]

DEFAULT_FILE: Final = "pool.toml"
"""Looked for in the folder where the command runs."""
_MAX_BYTES: Final = 16 << 20
"""A users file with a hundred thousand verifiers is as long."""


def load_pool(file: Path, variables: Mapping[str, str]) -> PoolSettings:
    """Read and check a configuration.

    Args:
        file: the configuration file.
        variables: the environment.

    Raises:
        ConfigError: with everything that is wrong.
    """
    files = Files(file.absolute().parent, variables)
    document = parse_document(decode_text(files.configuration(file), str(file)), f"{file}")
    report = Report(document)
    findings = validate(document, PoolFile)
    if findings:
        raise ConfigError([problem for _, problem in findings])
    settings = resolve(msgspec.convert(document.values, PoolFile), files, report, file.absolute())
    if not report.problems:
        try:
            encryption(settings.tls)
        except ValueError as exc:
            report.problem(("tls",), str(exc))
    if report.problems:
        raise ConfigError(report.problems)
    return dataclasses.replace(settings, notices=tuple(report.notices))


class Files:
    """The ``Material`` of a configuration.

    Args:
        folder: what relative paths count from.
        variables: the environment.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self._variables = variables
        self._store: CredentialStore | None = None

    def configuration(self, file: Path) -> bytes:
        """Return what the configuration file holds.

        Raises:
            ConfigError: it cannot be read.
        """
        try:
            return _read(file)
        except ValueError as exc:
            hint = "'longshore pool init' prints one to begin with"
            raise ConfigError([Problem(message=str(exc), hint=hint)]) from exc

    def path(self, name: str) -> Path:
        """Return where a file is."""
        return self._folder / name

    def read(self, name: str) -> bytes:
        """Return what a file holds; see ``Material``."""
        return _read(self.path(name))

    def ca(self, name: str) -> bytes:
        """Return a CA bundle; see ``Material``."""
        try:
            return self._open().ca_bundle(name).encode()
        except CredentialError as exc:
            raise ValueError(_sentence(exc)) from exc

    def identity(self, name: str) -> tuple[bytes, bytes]:
        """Return a certificate; see ``Material``."""
        try:
            found = self._open().client_certificate(name)
        except CredentialError as exc:
            raise ValueError(_sentence(exc)) from exc
        return found.chain.encode(), found.private_key.encode()

    def secret(self, name: str) -> str:
        """Return a secret; see ``Material``."""
        if name in self._variables:
            return self._variables[name]
        try:
            if not self._open().has(Kind.SECRET, name):
                where = f"run 'longshore secret put {name}', or set the environment variable {name}"
                raise ValueError(f"secret {name!r} is not set: {where}")
            return self._open().secret(name)
        except CredentialError as exc:
            raise ValueError(_sentence(exc)) from exc

    def users(self, name: str) -> dict[str, Secret]:
        """Return what a users file says; see ``Material``."""
        path = self.path(name)
        text = decode_text(_read(path), str(path))
        if path.stat().st_mode & 0o007:
            raise ValueError(f"{str(path)!r} can be read by everybody: run 'chmod 640 {path}'")
        return parse_users(text, str(path))

    def _open(self) -> CredentialStore:
        if self._store is None:
            self._store = open_store(self._variables)
        return self._store


def _sentence(error: CredentialError) -> str:
    return f"{error.message}: {error.hint}" if error.hint else error.message


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise ValueError(f"{os.fspath(path)!r} cannot be read: {exc.strerror}") from exc
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{os.fspath(path)!r} has more than {_MAX_BYTES} bytes")
    return data
