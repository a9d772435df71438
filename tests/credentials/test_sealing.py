"""Keys of sealed stores, as people write them."""

from __future__ import annotations

import base64

import pytest

from longshore.credentials.errors import CredentialError
from longshore.credentials.sealing import is_sealed, parse_key, seal, unseal

KEY = bytes(range(223, 255))  # its base64 has '/', '+' or their like


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode(),
        base64.b64encode(KEY).decode().rstrip("="),
        KEY.hex(),
        KEY.hex().upper(),
        f"  {base64.b64encode(KEY).decode()}\n",
    ],
)
def test_spellings_of_a_key(text: str) -> None:
    assert parse_key(text) == KEY


@pytest.mark.parametrize("text", ["hunter2", "", "AAAA", KEY.hex()[:-2], KEY.hex() + "00", "\u00e4" * 44, "a b" * 16])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(CredentialError, match="LONGSHORE_STORE_KEY") as caught:
        parse_key(text)
    assert "openssl rand -base64 32" in caught.value.hint
    assert not text or text not in str(caught.value), "the message quotes nothing of it"


@pytest.mark.parametrize("data", [b"", b"x", bytes(100_000)])
def test_round_trip(data: bytes) -> None:
    sealed = seal(data, KEY, b"secret/TOKEN")
    assert is_sealed(sealed)
    assert not is_sealed(data)
    assert unseal(sealed, KEY, b"secret/TOKEN") == data
