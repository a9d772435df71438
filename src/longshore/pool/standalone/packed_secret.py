"""What a client has proved to know, as text: it goes to the process that takes our place (PURE)."""

from __future__ import annotations

from longshore.proto.postgres.auth import Md5Hash, PlainPassword
from longshore.proto.postgres.scram import ScramKeys

__all__ = ["pack_secret", "unpack_secret"]


def pack_secret(secret: PlainPassword | Md5Hash | ScramKeys | None) -> tuple[str, ...]:
    """Return the secret as a kind and values."""
    match secret:
        case None:
            return ()
        case PlainPassword(password):
            return ("plain", password.hex())
        case Md5Hash(value):
            return ("md5", value.hex())
        case ScramKeys(salt, iterations, client_key, server_key):
            return ("scram", salt.hex(), str(iterations), client_key.hex(), server_key.hex())


def unpack_secret(packed: tuple[str, ...]) -> PlainPassword | Md5Hash | ScramKeys | None:
    """Return the secret.

    Raises:
        ValueError: it is none.
    """
    match packed:
        case ():
            return None
        case ("plain", value):
            return PlainPassword(bytes.fromhex(value))
        case ("md5", value):
            return Md5Hash(bytes.fromhex(value))
        case ("scram", salt, iterations, client_key, server_key):
            keys = bytes.fromhex(client_key), bytes.fromhex(server_key)
            return ScramKeys(bytes.fromhex(salt), int(iterations), *keys)
        case _:
            raise ValueError("no packed secret")
