"""The credential store: what it takes, what it refuses, and rotation."""

from __future__ import annotations

import itertools
import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from longshore.credentials.errors import CredentialError
from longshore.credentials.kinds import Kind
from longshore.credentials.private_files import MAX_BYTES
from longshore.credentials.store import CredentialStore, default_folder, open_store

if TYPE_CHECKING:
    import trustme

KEY = bytes(range(32))


@pytest.fixture
def store(tmp_path: Path) -> CredentialStore:
    return CredentialStore(tmp_path / "store")


def issue(ca: trustme.CA, name: str = "worker") -> bytes:
    issued = ca.issue_cert(f"{name}.example", common_name=name)
    return b"".join(each.bytes() for each in (*issued.cert_chain_pems, issued.private_key_pem))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_comes_back_as_it_was(store: CredentialStore) -> None:
    value = "p\u00e4ss word\n\twith \u20ac"
    store.put_secret("TOKEN", value)
    assert store.secret("TOKEN") == value
    assert CredentialStore(store.folder).secret("TOKEN") == value


def test_everything_written_is_private(store: CredentialStore, ca: trustme.CA) -> None:
    before = os.umask(0)
    try:
        store.put_secret("TOKEN", "x")
        store.put_ca("corp", ca.cert_pem.bytes())
        store.put_client("pay", issue(ca))
    finally:
        os.umask(before)
    assert mode_of(store.folder) == 0o700
    found = list(store.folder.rglob("*"))
    assert {mode_of(each) for each in found if each.is_dir()} == {0o700}
    assert {mode_of(each) for each in found if each.is_file()} == {0o600}
    assert len(found) == 6, "nothing else is left"


@pytest.mark.parametrize("what", ["", "secret", "secret/TOKEN"])
@pytest.mark.parametrize("bits", [0o040, 0o020, 0o004, 0o001])
def test_what_others_may_use_is_refused(store: CredentialStore, what: str, bits: int) -> None:
    store.put_secret("TOKEN", "x")
    path = store.folder / what
    path.chmod(mode_of(path) | bits)
    with pytest.raises(CredentialError, match="can be used by others") as caught:
        store.entries() if what != "secret/TOKEN" else CredentialStore(store.folder).secret("TOKEN")
    assert "chmod" in caught.value.hint
    if path.is_dir():
        with pytest.raises(CredentialError, match="can be used by others"):
            store.put_secret("OTHER", "x")


def test_a_mode_that_becomes_wider_is_noticed_by_a_store_that_knows_the_value(store: CredentialStore) -> None:
    store.put_secret("TOKEN", "x")
    assert store.secret("TOKEN") == "x"
    (store.folder / "secret" / "TOKEN").chmod(0o644)
    with pytest.raises(CredentialError, match="can be used by others"):
        store.secret("TOKEN")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_refused(store: CredentialStore) -> None:
    store.put_secret("TOKEN", "x")
    os.chown(store.folder / "secret" / "TOKEN", 12345, 12345)
    with pytest.raises(CredentialError, match="belongs to user 12345"):
        store.secret("TOKEN")


def test_a_symbolic_link_is_refused(store: CredentialStore, tmp_path: Path) -> None:
    store.put_secret("OTHER", "x")
    target = tmp_path / "elsewhere"
    target.write_text("x")
    target.chmod(0o600)
    (store.folder / "secret" / "TOKEN").symlink_to(target)
    with pytest.raises(CredentialError, match="symbolic link"):
        store.secret("TOKEN")


def test_what_is_no_file_does_not_block(store: CredentialStore) -> None:
    store.put_secret("OTHER", "x")
    os.mkfifo(store.folder / "secret" / "TOKEN", 0o600)
    (store.folder / "secret" / "FOLDER").mkdir(0o700)
    for name in ("TOKEN", "FOLDER"):
        with pytest.raises(CredentialError, match="no plain file"):
            store.secret(name)


def test_a_file_that_is_too_large(store: CredentialStore) -> None:
    store.put_secret("TOKEN", "x" * MAX_BYTES)
    assert len(store.secret("TOKEN")) == MAX_BYTES
    with pytest.raises(CredentialError, match="more than"):
        store.put_secret("TOKEN", "x" * (MAX_BYTES + 1))
    with (store.folder / "secret" / "TOKEN").open("a") as file:
        file.write("x")
    with pytest.raises(CredentialError, match="more than"):
        store.secret("TOKEN")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "a\x00b", "a b", "x" * 129, "-x", "\u00e4"])
@pytest.mark.parametrize("kind", list(Kind))
def test_a_name_is_one_file_in_its_folder(store: CredentialStore, kind: Kind, name: str) -> None:
    with pytest.raises(CredentialError, match="is no name of a"):
        store.has(kind, name)
    with pytest.raises(CredentialError, match="is no name of a"):
        store.remove(kind, name)


def test_a_name_of_a_certificate_may_be_what_wrangler_has_for_one(store: CredentialStore, ca: trustme.CA) -> None:
    store.put_ca("bc36b9d8-2f5c-4f4e-a1b1-4a0a1b2c3d4e", ca.cert_pem.bytes())
    assert store.has(Kind.CA, "bc36b9d8-2f5c-4f4e-a1b1-4a0a1b2c3d4e")


def test_what_is_not_there_says_how_to_add_it(store: CredentialStore) -> None:
    assert not store.has(Kind.CLIENT, "pay")
    assert store.entries() == ()
    with pytest.raises(CredentialError, match="there is no client certificate 'pay'") as caught:
        store.client_certificate("pay")
    assert caught.value.hint == "add it with 'longshore cert add client pay'"
    with pytest.raises(CredentialError) as caught:
        store.secret("TOKEN")
    assert caught.value.hint == "add it with 'longshore secret put TOKEN'"


def test_rotation_is_seen_at_the_next_question(store: CredentialStore, ca: trustme.CA) -> None:
    reader = CredentialStore(store.folder)
    store.put_client("pay", issue(ca, "first"))
    first = reader.client_certificate("pay")
    assert reader.client_certificate("pay") is first, "an unchanged file is not read again"
    store.put_client("pay", issue(ca, "second"))
    assert reader.client_certificate("pay").subject == "second"
    store.remove(Kind.CLIENT, "pay")
    with pytest.raises(CredentialError, match="there is no client certificate"):
        reader.client_certificate("pay")


def test_rotation_to_a_value_of_the_same_size_and_time_is_seen(store: CredentialStore) -> None:
    path = store.folder / "secret" / "TOKEN"
    store.put_secret("TOKEN", "one")
    reader = CredentialStore(store.folder)
    assert reader.secret("TOKEN") == "one"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    store.put_secret("TOKEN", "two")
    os.utime(path, ns=times)
    assert reader.secret("TOKEN") == "two"


def test_a_reader_never_meets_half_a_credential(store: CredentialStore) -> None:
    values = ["a" * 100_000, "b" * 100_000]
    store.put_secret("TOKEN", values[0])

    def rotate() -> None:
        for turn in range(200):
            store.put_secret("TOKEN", values[turn % 2])

    writer = threading.Thread(target=rotate)
    writer.start()
    try:
        while writer.is_alive():
            assert CredentialStore(store.folder).secret("TOKEN") in values
    finally:
        writer.join()


def test_a_failed_write_leaves_what_was_there(store: CredentialStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put_secret("TOKEN", "old")

    def fail(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CredentialError, match="No space left"):
        store.put_secret("TOKEN", "new")
    monkeypatch.undo()
    assert store.secret("TOKEN") == "old"
    assert [each.name for each in (store.folder / "secret").iterdir()] == ["TOKEN"]


def test_removing(store: CredentialStore) -> None:
    store.put_secret("TOKEN", "x")
    store.remove(Kind.SECRET, "TOKEN")
    assert store.entries() == ()
    with pytest.raises(CredentialError, match="there is no secret 'TOKEN'"):
        store.remove(Kind.SECRET, "TOKEN")
    with pytest.raises(CredentialError, match="there is no secret"):
        CredentialStore(store.folder / "nowhere").remove(Kind.SECRET, "TOKEN")


class TestSealed:
    """A store with a key."""

    def test_what_is_written_is_not_readable(self, tmp_path: Path, ca: trustme.CA) -> None:
        store = CredentialStore(tmp_path / "store", KEY)
        store.put_secret("TOKEN", "very secret")
        store.put_client("pay", issue(ca))
        written = b"".join(each.read_bytes() for each in store.folder.rglob("*") if each.is_file())
        assert b"very secret" not in written
        assert b"PRIVATE KEY" not in written
        reader = CredentialStore(store.folder, KEY)
        assert reader.secret("TOKEN") == "very secret"
        assert reader.client_certificate("pay").subject == "worker"
        assert all(each.is_sealed for each in reader.entries())

    def test_without_the_key_or_with_another_one(self, tmp_path: Path) -> None:
        CredentialStore(tmp_path / "store", KEY).put_secret("TOKEN", "very secret")
        with pytest.raises(CredentialError, match="secret 'TOKEN': it is sealed") as caught:
            CredentialStore(tmp_path / "store").secret("TOKEN")
        assert "LONGSHORE_STORE_KEY" in caught.value.hint
        with pytest.raises(CredentialError, match="cannot be opened"):
            CredentialStore(tmp_path / "store", bytes(32)).secret("TOKEN")

    def test_one_credential_cannot_take_the_place_of_another(self, tmp_path: Path) -> None:
        store = CredentialStore(tmp_path / "store", KEY)
        store.put_secret("TEST_TOKEN", "test")
        store.put_secret("TOKEN", "production")
        folder = store.folder / "secret"
        (folder / "TEST_TOKEN").replace(folder / "TOKEN")
        with pytest.raises(CredentialError, match="cannot be opened"):
            store.secret("TOKEN")

    def test_no_changed_byte_goes_unnoticed(self, tmp_path: Path) -> None:
        store = CredentialStore(tmp_path / "store", KEY)
        store.put_secret("TOKEN", "x")
        path = store.folder / "secret" / "TOKEN"
        data = path.read_bytes()
        for index, bit in itertools.product(range(data.index(b"\n") + 1, len(data) - 1), (1, 2, 4)):
            broken = bytearray(data)
            broken[index] ^= bit
            path.write_bytes(broken)
            with pytest.raises(CredentialError):
                CredentialStore(store.folder, KEY).secret("TOKEN")
        for length in range(data.index(b"\n") + 1, len(data) - 2):
            path.write_bytes(data[:length])
            with pytest.raises(CredentialError):
                CredentialStore(store.folder, KEY).secret("TOKEN")

    def test_the_same_value_is_never_written_the_same(self, tmp_path: Path) -> None:
        store = CredentialStore(tmp_path / "store", KEY)
        seen = set()
        for _ in range(3):
            store.put_secret("TOKEN", "x")
            seen.add((store.folder / "secret" / "TOKEN").read_bytes())
        assert len(seen) == 3

    def test_what_was_stored_before_there_was_a_key_is_still_read(self, tmp_path: Path) -> None:
        CredentialStore(tmp_path / "store").put_secret("TOKEN", "x")
        store = CredentialStore(tmp_path / "store", KEY)
        assert store.secret("TOKEN") == "x"
        assert [each.is_sealed for each in store.entries()] == [False]


def test_the_list_says_what_cannot_be_used_and_goes_on(store: CredentialStore, ca: trustme.CA) -> None:
    store.put_ca("corp", ca.cert_pem.bytes())
    store.put_ca("broken", ca.cert_pem.bytes())
    (store.folder / "ca" / "broken").write_bytes(b"nonsense")
    store.put_secret("TOKEN", "x")
    (store.folder / "secret" / "not-a-name").touch(0o600)
    broken, corp, token, stranger = store.entries()
    assert (broken.name, broken.problem) != ("broken", "")
    assert "no certificate" in broken.problem
    assert corp.not_after is not None
    assert corp.not_after > datetime.now(UTC)
    assert (corp.name, corp.problem, token.name, token.problem) == ("corp", "", "TOKEN", "")
    assert "is no name" in stranger.problem
    assert "x" not in repr(token).split()


def test_no_repr_shows_a_key(store: CredentialStore, ca: trustme.CA) -> None:
    store.put_client("pay", issue(ca))
    assert "PRIVATE" not in repr(store.client_certificate("pay"))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LONGSHORE_STORE": "/srv/store", "XDG_DATA_HOME": "/data"}, "/srv/store"),
        ({"XDG_DATA_HOME": "/data"}, "/data/longshore"),
        ({"XDG_DATA_HOME": "not/absolute"}, f"{Path.home()}/.local/share/longshore"),
        ({"LONGSHORE_STORE": ""}, f"{Path.home()}/.local/share/longshore"),
    ],
)
def test_where_the_store_is(variables: dict[str, str], expected: str) -> None:
    assert default_folder(variables) == Path(expected)


def test_the_environment_gives_the_key(tmp_path: Path) -> None:
    variables = {"LONGSHORE_STORE": str(tmp_path / "store"), "LONGSHORE_STORE_KEY": KEY.hex()}
    open_store(variables).put_secret("TOKEN", "x")
    assert open_store(variables).entries()[0].is_sealed
    with pytest.raises(CredentialError, match="LONGSHORE_STORE_KEY"):
        open_store({**variables, "LONGSHORE_STORE_KEY": "hunter2"})
