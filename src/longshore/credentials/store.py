"""``CredentialStore``: a folder of the operator's, read anew whenever a file in it has changed (shell).

::

    <folder>/           0700
        ca/NAME         0600   PEM certificates
        client/NAME     0600   PEM certificate chain, then its private key: one file, so that both change together
        secret/NAME     0600   the value, as it is

With a key (``LONGSHORE_STORE_KEY``) what is written is sealed (``longshore.credentials.sealing``). Files are replaced
in one step, so a reader meets the old credential or the new one, and whoever asks again after that gets the new one:
that is all there is to rotation.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from longshore.credentials.certificates import CaBundle, ClientCertificate, parse_ca_bundle, parse_client_certificate
from longshore.credentials.errors import CredentialError
from longshore.credentials.kinds import Kind, check_name
from longshore.credentials.private_files import (
    Stamp,
    list_private,
    read_private,
    remove_private,
    stamp_of,
    write_private,
)
from longshore.credentials.sealing import is_sealed, parse_key, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

__all__ = ["KEY_VARIABLE", "STORE_VARIABLE", "CredentialEntry", "CredentialStore", "default_folder", "open_store"]

STORE_VARIABLE: Final = "LONGSHORE_STORE"
"""Names the folder of the store."""
KEY_VARIABLE: Final = "LONGSHORE_STORE_KEY"
"""Holds the key of a sealed store."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CredentialEntry:
    """One credential of the store, for a list."""

    kind: Kind
    name: str
    is_sealed: bool
    subject: str = ""
    """Whom the certificate is for; of a CA bundle the first one's."""
    not_after: datetime | None = None
    """When it expires; None for a secret."""
    problem: str = ""
    """Why it cannot be used; empty when it can."""


def default_folder(variables: Mapping[str, str]) -> Path:
    """Return the folder of the store: ``$LONGSHORE_STORE``, else ``longshore`` in the user's data folder.

    Args:
        variables: the environment.
    """
    if named := variables.get(STORE_VARIABLE):
        return Path(named).expanduser().absolute()
    data = variables.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path in it is to be ignored.
    base = Path(data) if Path(data).is_absolute() else Path.home() / ".local" / "share"
    return base / "longshore"


def open_store(variables: Mapping[str, str], folder: Path | None = None) -> CredentialStore:
    """Return the store that the environment names.

    Args:
        variables: the environment.
        folder: the store's, when it is known already.

    Raises:
        CredentialError: ``LONGSHORE_STORE_KEY`` is no key.
    """
    text = variables.get(KEY_VARIABLE, "")
    return CredentialStore(folder or default_folder(variables), parse_key(text) if text else None)


class CredentialStore:
    """Credentials by name.

    Args:
        folder: of the store; it need not exist.
        key: 32 bytes; opens what is sealed, and seals what is written. None: nothing is sealed.
    """

    def __init__(self, folder: Path, key: bytes | None = None) -> None:
        self.folder = folder
        self._key = key
        self._known: dict[tuple[Kind, str], tuple[Stamp, object]] = {}

    # -- reading ---------------------------------------------------------------------------------

    def ca_bundle(self, name: str) -> str:
        """Return the PEM certificates of a CA bundle.

        Raises:
            CredentialError: there is none of this name, or it cannot be used.
        """
        return self.ca_details(name).pem

    def ca_details(self, name: str) -> CaBundle:
        """Return a CA bundle with what is known of it.

        Raises:
            CredentialError: there is none of this name, or it cannot be used.
        """
        return self._get(Kind.CA, name, parse_ca_bundle)

    def client_certificate(self, name: str) -> ClientCertificate:
        """Return a client certificate; the same object for as long as its file does not change.

        Raises:
            CredentialError: there is none of this name, or it cannot be used.
        """
        return self._get(Kind.CLIENT, name, parse_client_certificate)

    def secret(self, name: str) -> str:
        """Return the value of a secret.

        Raises:
            CredentialError: there is none of this name, or it cannot be used.
        """
        return self._get(Kind.SECRET, name, _as_text)

    def has(self, kind: Kind, name: str) -> bool:
        """Say whether there is something of this name, usable or not.

        Raises:
            CredentialError: the name is none.
        """
        return os.path.lexists(self._path(kind, name))

    def entries(self, *kinds: Kind) -> tuple[CredentialEntry, ...]:
        """Return what the store holds, by kind and name; what cannot be used says why.

        Args:
            *kinds: only these; all when none is given.

        Raises:
            CredentialError: the store itself cannot be read.
        """
        return tuple(
            self._entry(kind, name) for kind in (kinds or tuple(Kind)) for name in list_private(self.folder, kind.value)
        )

    # -- writing ---------------------------------------------------------------------------------

    def put_ca(self, name: str, pem: bytes) -> None:
        """Store a CA bundle; one of this name is replaced.

        Raises:
            CredentialError: these are no certificates of authorities, or the store cannot be written.
        """
        self._put(Kind.CA, name, parse_ca_bundle(pem).pem.encode())

    def put_client(self, name: str, pem: bytes, password: bytes | None = None) -> None:
        """Store a client certificate; one of this name is replaced.

        Args:
            name: what configurations call it.
            pem: the chain, leaf first, and the private key.
            password: of an encrypted key; what is stored has none.

        Raises:
            CredentialError: the chain or the key is missing or wrong, or the store cannot be written.
        """
        parsed = parse_client_certificate(pem, password)
        self._put(Kind.CLIENT, name, (parsed.chain + parsed.private_key).encode())

    def put_secret(self, name: str, value: str) -> None:
        """Store a secret; one of this name is replaced.

        Raises:
            CredentialError: the value cannot be one, or the store cannot be written.
        """
        if "\x00" in value:
            raise CredentialError("a secret cannot hold a NUL character")
        self._put(Kind.SECRET, name, value.encode())

    def remove(self, kind: Kind, name: str) -> None:
        """Remove a credential.

        Raises:
            CredentialError: there is none of this name, or the store cannot be written.
        """
        if not remove_private(self.folder, self._path(kind, name)):
            raise CredentialError(f"there is no {kind.noun} {name!r}")

    # -- how -------------------------------------------------------------------------------------

    def _path(self, kind: Kind, name: str) -> Path:
        check_name(kind, name)
        return self.folder / kind.value / name

    def _put(self, kind: Kind, name: str, data: bytes) -> None:
        path = self._path(kind, name)
        sealed = data if self._key is None else seal(data, self._key, _label(kind, name))
        write_private(self.folder, path, sealed)

    def _get(self, kind: Kind, name: str, parse: Callable[[bytes], T]) -> T:
        path = self._path(kind, name)
        known = self._known.get((kind, name))
        if known is not None and known[0] == stamp_of(path):
            return known[1]  # type: ignore[return-value]  # of this kind, so parsed by this function
        value, stamp = self._read(kind, name, parse)
        self._known[kind, name] = (stamp, value)
        return value

    def _read(self, kind: Kind, name: str, parse: Callable[[bytes], T]) -> tuple[T, Stamp]:
        found = read_private(self.folder, self._path(kind, name))
        if found is None:
            raise CredentialError(
                f"there is no {kind.noun} {name!r} in {str(self.folder)!r}", f"add it with '{kind.how_to_add} {name}'"
            )
        data, stamp = found
        try:
            return parse(self._opened(data, kind, name)), stamp
        except CredentialError as exc:
            raise CredentialError(f"{kind.noun} {name!r}: {exc.message}", exc.hint) from exc

    def _opened(self, data: bytes, kind: Kind, name: str) -> bytes:
        if not is_sealed(data):
            return data
        if self._key is None:
            raise CredentialError("it is sealed", f"set {KEY_VARIABLE} to the key it was stored with")
        return unseal(data, self._key, _label(kind, name))

    def _entry(self, kind: Kind, name: str) -> CredentialEntry:
        sealed = False
        try:
            found = read_private(self.folder, self._path(kind, name))
            if found is None:
                raise CredentialError("it was removed just now")
            sealed = is_sealed(found[0])
            data = self._opened(found[0], kind, name)
            if kind is Kind.SECRET:
                _as_text(data)
                return CredentialEntry(kind, name, sealed)
            parsed = parse_ca_bundle(data) if kind is Kind.CA else parse_client_certificate(data)
        except CredentialError as exc:
            return CredentialEntry(kind, name, sealed, problem=str(exc))
        return CredentialEntry(kind, name, sealed, parsed.subject, parsed.not_after)


def _label(kind: Kind, name: str) -> bytes:
    """Return what a sealed credential is bound to, so that none can be put in the place of another."""
    return f"{kind.value}/{name}".encode()


def _as_text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise CredentialError("it is no text in UTF-8") from None
