"""Where a client connects, and what it has to know: travels as JSON to the process that runs the client."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

__all__ = ["Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """A server as a client sees it."""

    host: str
    port: int
    mode: str = "plain"
    """``"plain"``, ``"tls"``, or ``"starttls"`` where the protocol has both kinds of TLS."""
    ca_pem: str = ""
    """The authority to trust; certificates are verified, names included."""
    facts: dict[str, str] = field(default_factory=dict)
    """What is particular to the server: names, passwords, keys."""

    @property
    def is_tls(self) -> bool:
        """Whether the connection is to be encrypted."""
        return self.mode != "plain"

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"

    @property
    def context(self) -> ssl.SSLContext | None:
        """The context of a client that trusts the authority; None for a plain connection."""
        # Here and not above: a client that brings an OpenSSL of its own must be the first.
        import ssl  # noqa: PLC0415

        return ssl.create_default_context(cadata=self.ca_pem) if self.is_tls else None

    @property
    def ca_file(self) -> str:
        """The authority as a file, for clients that want a path."""
        folder = Path(tempfile.gettempdir())
        path = folder / f"interop-ca-{hashlib.sha256(self.ca_pem.encode()).hexdigest()[:16]}.pem"
        if not path.exists():
            # Clients run two at a time: never show half a file.
            descriptor, name = tempfile.mkstemp(dir=folder)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(self.ca_pem)
            Path(name).replace(path)
        return str(path)

    def to_json(self) -> str:
        """Return the form it travels in."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Target:
        """Return what ``to_json`` was made of."""
        return cls(**json.loads(text))
