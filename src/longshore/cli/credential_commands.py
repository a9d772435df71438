"""``longshore cert`` and ``longshore secret``: their options and their help."""

# No postponed annotations here: typer reads them.

import sys
from pathlib import Path
from typing import Annotated

import typer

from longshore.cli.console import CommandFailed, fail, make_console
from longshore.cli.help_style import PlainCommand, examples, group

__all__ = ["cert", "secret"]

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the configuration calls it.")]

cert = group(
    "cert",
    "CA bundles and client certificates, which workers use without seeing them.",
    ("longshore cert add ca corporate --cert ca.pem", ""),
    ("longshore cert add client billing --cert chain.pem --key key.pem", ""),
    ("longshore cert list", "with what expires when"),
    ("longshore cert remove billing", ""),
)
add = group(
    "add",
    "Store a certificate, or replace it: connections made from then on use the new one.",
    ("longshore cert add ca corporate --cert ca.pem", ""),
    ("longshore cert add client billing --cert chain.pem --key key.pem", ""),
)
cert.add_typer(add)
secret = group(
    "secret",
    "Values of env that stand in no file: those that secrets.required lists.",
    ("longshore secret put API_TOKEN", "asks for the value"),
    ("printf %s hunter2 | longshore secret put API_TOKEN", ""),
    ("longshore secret list", "names only"),
    ("longshore secret delete API_TOKEN", ""),
)


@add.command("ca", cls=PlainCommand, epilog=examples(("longshore cert add ca corporate --cert ca.pem", "")))
def add_ca(
    name: NameArgument,
    certificate: Annotated[
        Path, typer.Option("--cert", metavar="FILE", help="PEM certificates; - is standard input.", show_default=False)
    ],
) -> None:
    """Store certificates of authorities, for `ca` in a binding and in the section tls."""
    from longshore.cli import cert as command  # noqa: PLC0415 - each command loads what it needs

    try:
        command.add_ca(name, certificate, make_console())
    except CommandFailed as exc:
        fail(exc)


@add.command(
    "client",
    cls=PlainCommand,
    epilog=examples(
        ("longshore cert add client billing --cert chain.pem --key key.pem", ""),
        ("longshore cert add client billing --cert both.pem", ""),
    ),
)
def add_client(
    name: NameArgument,
    certificate: Annotated[
        Path,
        typer.Option(
            "--cert", metavar="FILE", help="The PEM chain, leaf first; - is standard input.", show_default=False
        ),
    ],
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The PEM private key, unless it is in the other file.")
    ] = None,
) -> None:
    """Store a client certificate with its private key; the password of an encrypted key is asked for."""
    from longshore.cli import cert as command  # noqa: PLC0415 - each command loads what it needs

    def ask_password() -> str | None:
        return typer.prompt("Password of the key", hide_input=True, err=True) if sys.stdin.isatty() else None

    try:
        command.add_client(name, certificate, key, make_console(), ask_password)
    except CommandFailed as exc:
        fail(exc)


@cert.command(
    "list",
    cls=PlainCommand,
    epilog=examples(
        ("longshore cert list", ""), ("LONGSHORE_STORE=/srv/store longshore cert list", "of another store")
    ),
)
def list_certificates() -> None:
    """Print the certificates, and when they expire."""
    from longshore.cli import cert as command  # noqa: PLC0415 - each command loads what it needs
    from longshore.credentials.kinds import Kind  # noqa: PLC0415 - the same

    try:
        command.list_entries((Kind.CA, Kind.CLIENT), make_console())
    except CommandFailed as exc:
        fail(exc)


@cert.command(
    "remove",
    cls=PlainCommand,
    epilog=examples(("longshore cert remove billing", ""), ("longshore cert remove billing --kind client", "")),
)
def remove_certificate(
    name: NameArgument,
    kind: Annotated[
        str | None, typer.Option(metavar="ca|client", help="Which, when both kinds have one of this name.")
    ] = None,
) -> None:
    """Remove a certificate."""
    from longshore.cli import cert as command  # noqa: PLC0415 - each command loads what it needs
    from longshore.credentials.kinds import Kind  # noqa: PLC0415 - the same

    if kind not in {None, "ca", "client"}:
        raise typer.BadParameter(f"{kind!r} is neither ca nor client", param_hint="--kind")
    try:
        command.remove((Kind.CA, Kind.CLIENT) if kind is None else (Kind(kind),), name, make_console())
    except CommandFailed as exc:
        fail(exc)


@secret.command(
    "put",
    cls=PlainCommand,
    epilog=examples(
        ("longshore secret put API_TOKEN", "asks for the value"),
        ("printf %s hunter2 | longshore secret put API_TOKEN", ""),
    ),
)
def put_secret(name: NameArgument) -> None:
    """Store a secret: the value is typed, or comes from standard input."""
    from longshore.cli import secret as command  # noqa: PLC0415 - each command loads what it needs

    try:
        command.put(name, make_console(), lambda text: str(typer.prompt(text, hide_input=True, err=True)))
    except CommandFailed as exc:
        fail(exc)


@secret.command("list", cls=PlainCommand, epilog=examples(("longshore secret list", "names only")))
def list_secrets() -> None:
    """Print the names of the secrets."""
    from longshore.cli import cert as command  # noqa: PLC0415 - each command loads what it needs
    from longshore.credentials.kinds import Kind  # noqa: PLC0415 - the same

    try:
        command.list_entries((Kind.SECRET,), make_console())
    except CommandFailed as exc:
        fail(exc)


@secret.command("delete", cls=PlainCommand, epilog=examples(("longshore secret delete API_TOKEN", "")))
def delete_secret(name: NameArgument) -> None:
    """Remove a secret."""
    from longshore.cli import cert as command  # noqa: PLC0415 - each command loads what it needs
    from longshore.credentials.kinds import Kind  # noqa: PLC0415 - the same

    try:
        command.remove((Kind.SECRET,), name, make_console())
    except CommandFailed as exc:
        fail(exc)
