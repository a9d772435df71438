"""``longshore cert`` and ``longshore secret`` as processes of their own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from longshore.credentials.store import CredentialStore
from tests.certificates import EXPIRED
from tests.cli.launched import LIMIT_S, environment

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

KEY = "00" * 32


class Commands:
    """Runs commands against one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = CredentialStore(folder / "store")

    def run(self, *arguments: str, given: bytes | str = b"", **variables: str) -> subprocess.CompletedProcess[str]:
        data = given.encode() if isinstance(given, str) else given
        done = subprocess.run(
            [sys.executable, "-m", "longshore", *arguments],
            cwd=self.folder,
            env=environment(LONGSHORE_STORE=str(self.store.folder), COLUMNS="200", **variables),
            input=data,
            capture_output=True,
            check=False,
            timeout=LIMIT_S,
        )
        assert b"Traceback" not in done.stderr
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def write(self, name: str, *parts: bytes) -> str:
        (self.folder / name).write_bytes(b"".join(parts))
        return name


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


def test_a_client_certificate_from_adding_to_removing(commands: Commands, ca: trustme.CA) -> None:
    issued = ca.issue_cert("shop.example", common_name="the shop")
    chain = commands.write("chain.pem", *(each.bytes() for each in issued.cert_chain_pems))
    key = commands.write("key.pem", issued.private_key_pem.bytes())
    added = commands.run("cert", "add", "client", "shop", "--cert", chain, "--key", key)
    assert added.stdout.startswith("client certificate 'shop' stored: the shop, expires on ")
    again = commands.run("cert", "add", "client", "shop", "--cert", chain, "--key", key)
    assert "replaced; it is used from the next connection on" in again.stdout
    listed = commands.run("cert", "list").stdout
    assert listed.split()[:5] == ["kind", "name", "subject", "expires", "sealed"]
    assert "client  shop  the shop" in listed
    assert "PRIVATE" not in added.stdout + listed
    assert commands.run("cert", "remove", "shop").stdout == "client certificate 'shop' removed\n"
    assert commands.run("cert", "list").stdout == f"nothing is stored in {commands.store.folder}\n"
    gone = commands.run("cert", "remove", "shop")
    assert (gone.returncode, gone.stderr) == (1, "error: there is no client certificate 'shop'\n")


def test_what_expires_is_told(commands: Commands, ca: trustme.CA) -> None:
    expired = ca.issue_cert("shop.example", not_before=EXPIRED[0], not_after=EXPIRED[1])
    both = commands.write(
        "both.pem", *(each.bytes() for each in expired.cert_chain_pems), expired.private_key_pem.bytes()
    )
    assert "expired on 2020-02-01" in commands.run("cert", "add", "client", "old", "--cert", both).stdout
    assert "expired on 2020-02-01" in commands.run("cert", "list").stdout
    commands.write(
        "longshore.toml", b'main = "entry.py"\n[[mtls_certificates]]\nbinding = "CERT"\ncertificate_id = "old"\n'
    )
    commands.write("entry.py", b"async def on_fetch(request): pass\n")
    assert "the client certificate 'old' expired on 2020-02-01" in commands.run("check", "--json").stdout


def test_a_ca_bundle_of_standard_input(commands: Commands, ca: trustme.CA) -> None:
    added = commands.run("cert", "add", "ca", "corp", "--cert", "-", given=ca.cert_pem.bytes())
    assert added.stdout.startswith("CA bundle 'corp' stored")
    assert commands.store.ca_bundle("corp").encode() == ca.cert_pem.bytes()


def test_one_name_for_two_kinds(commands: Commands, ca: trustme.CA) -> None:
    issued = ca.issue_cert("shop.example")
    commands.store.put_ca("corp", ca.cert_pem.bytes())
    commands.store.put_client(
        "corp", b"".join(each.bytes() for each in issued.cert_chain_pems) + issued.private_key_pem.bytes()
    )
    refused = commands.run("cert", "remove", "corp")
    assert refused.returncode == 1
    assert "say which: --kind ca" in refused.stderr
    assert commands.run("cert", "remove", "corp", "--kind", "ca").returncode == 0
    assert [each.kind.value for each in commands.store.entries()] == ["client"]


def test_what_cannot_be_stored(commands: Commands, ca: trustme.CA) -> None:
    issued = ca.issue_cert("shop.example")
    chain = commands.write("chain.pem", *(each.bytes() for each in issued.cert_chain_pems))
    for arguments, message in (
        (("ca", "corp", "--cert", "nowhere.pem"), "cannot read 'nowhere.pem': No such file"),
        (("ca", "../x", "--cert", chain), "is no name of a CA bundle"),
        (("client", "shop", "--cert", chain), "it holds no private key"),
    ):
        done = commands.run("cert", "add", *arguments)
        assert done.returncode == 1
        assert message in done.stderr
    assert not commands.store.folder.exists()


def test_an_encrypted_key_without_a_person_to_ask(commands: Commands, ca: trustme.CA) -> None:
    issued = ca.issue_cert("shop.example")
    key = load_pem_private_key(issued.private_key_pem.bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2")
    )
    both = commands.write("both.pem", *(each.bytes() for each in issued.cert_chain_pems), key)
    done = commands.run("cert", "add", "client", "shop", "--cert", both)
    assert done.returncode == 1
    assert "the private key is encrypted, and there is nobody to ask" in done.stderr


@pytest.mark.parametrize(
    ("given", "value"), [("hunter2", "hunter2"), ("hunter2\n", "hunter2"), ("a\nb\n", "a\nb"), ("x\r\n", "x")]
)
def test_a_secret_of_standard_input(commands: Commands, given: str, value: str) -> None:
    done = commands.run("secret", "put", "TOKEN", given=given)
    assert (done.returncode, done.stdout, done.stderr) == (0, "secret 'TOKEN' stored\n", "")
    assert commands.store.secret("TOKEN") == value
    assert "replaced" in commands.run("secret", "put", "TOKEN", given=given).stdout
    assert commands.run("secret", "list").stdout.split() == ["name", "sealed", "TOKEN", "no"]
    assert commands.run("secret", "delete", "TOKEN").stdout == "secret 'TOKEN' removed\n"


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("TOKEN", b"", "the value is empty"),
        ("TOKEN", b"\n", "the value is empty"),
        ("TOKEN", b"\xff", "no text in UTF-8"),
        ("to-ken", b"x", "is no name of a secret"),
        ("TOKEN", b"a\x00b", "NUL"),
    ],
)
def test_what_is_no_secret(commands: Commands, name: str, given: bytes, message: str) -> None:
    done = commands.run("secret", "put", name, given=given)
    assert done.returncode == 1
    assert message in done.stderr


def test_a_person_types_a_secret_and_it_is_not_shown(commands: Commands) -> None:
    terminal, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "longshore", "secret", "put", "TOKEN"],
        env=environment(LONGSHORE_STORE=str(commands.store.folder)),
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    shown = b""
    try:
        while b"Value of TOKEN" not in shown:
            shown += os.read(terminal, 4096)
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.001)  # what is typed before that is shown, and thrown away
        os.write(terminal, b"hunter2\n")
        while b"stored" not in shown:
            shown += os.read(terminal, 4096)
        assert process.wait(LIMIT_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert b"hunter2" not in shown
    assert commands.store.secret("TOKEN") == "hunter2"


def test_a_key_in_the_environment_seals_what_is_stored(commands: Commands) -> None:
    assert commands.run("secret", "put", "TOKEN", given="hunter2", LONGSHORE_STORE_KEY=KEY).returncode == 0
    assert "yes" in commands.run("secret", "list", LONGSHORE_STORE_KEY=KEY).stdout
    assert "it is sealed" in commands.run("secret", "list").stdout
    refused = commands.run("secret", "list", LONGSHORE_STORE_KEY="hunter2")
    assert refused.returncode == 1
    assert "LONGSHORE_STORE_KEY" in refused.stderr


def test_a_store_that_others_may_read_is_not_used(commands: Commands) -> None:
    commands.store.put_secret("TOKEN", "x")
    commands.store.folder.chmod(0o755)
    for arguments in (("secret", "list"), ("cert", "list"), ("secret", "delete", "TOKEN")):
        done = commands.run(*arguments)
        assert done.returncode == 1
        assert f"chmod 700 {commands.store.folder}" in done.stderr


def test_serve_takes_a_secret_from_the_store_and_says_how_to_put_it_there(commands: Commands) -> None:
    commands.write("longshore.toml", b'main = "entry.py"\n[secrets]\nrequired = ["TOKEN"]\n')
    commands.write("entry.py", b"async def on_fetch(request): pass\n")
    missing = commands.run("check")
    assert missing.returncode == 78
    assert "longshore secret put TOKEN" in missing.stderr
    commands.store.put_secret("TOKEN", "hunter2")
    found = commands.run("check", "--json")
    assert found.returncode == 0
    assert "TOKEN" in found.stdout
    assert "hunter2" not in found.stdout
    (commands.store.folder / "secret" / "TOKEN").chmod(0o644)
    refused = commands.run("check")
    assert refused.returncode == 78
    assert "can be used by others" in refused.stderr
