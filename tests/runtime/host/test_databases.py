"""Who knows what of a worker's databases."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import msgspec

from longshore.config.connection_string import parse_connection_string
from longshore.config.model import HyperdriveBinding, HyperdriveCaching, HyperdriveTls, WorkerConfig
from longshore.credentials.store import CredentialStore
from longshore.egress.names import names_of
from longshore.runtime.host.databases import WorkerDatabases, known_to_egress

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

CONFIG = WorkerConfig(
    name="shop",
    main="/p/entry.py",
    module_root="/p",
    project_dir="/p",
    hyperdrive=(
        HyperdriveBinding(binding="OLD", connection_string="mysql://u:mysql-password@h/d"),
        HyperdriveBinding(
            binding="MY_DB",
            connection_string="postgres://ann:s3cret@db.internal/shop",
            mode="session",
            origin_connection_limit=3,
            caching=HyperdriveCaching(disabled=True),
        ),
    ),
)


def test_a_worker_gets_a_name_and_a_token(tmp_path: Path) -> None:
    made = [WorkerDatabases.of(CONFIG, worker_id, CredentialStore(tmp_path), has_traps=True) for worker_id in (1, 2)]
    tokens = set()
    for each in made:
        assert each is not None
        assert each.listeners == []
        mysql, private = each.for_worker(CONFIG).hyperdrive
        assert mysql == CONFIG.hyperdrive[0]
        url = parse_connection_string(private.connection_string)
        assert (url.host, url.port, url.user, url.database) == ("my-db.binding.longshore.internal", 5432, "ann", "shop")
        assert private.is_private
        assert "s3cret" not in msgspec.json.encode(each.for_worker(CONFIG)).decode()
        assert url.password == each.message.token
        tokens.add(url.password)
        (database,) = each.message.databases
        assert (database.mode, database.origin_connection_limit, database.is_cached) == ("session", 3, False)
        assert database.connection_string == CONFIG.hyperdrive[1].connection_string
    assert len(tokens) == 2


def test_without_traps_there_is_a_port_for_each(tmp_path: Path) -> None:
    made = WorkerDatabases.of(CONFIG, 1, CredentialStore(tmp_path), has_traps=False)
    assert made is not None
    url = parse_connection_string(made.for_worker(CONFIG).hyperdrive[1].connection_string)
    assert url.host == "127.0.0.1"
    with socket.create_connection((url.host, url.port)):
        pass
    made.close()
    made.close()
    assert made.listeners == []


def test_a_worker_without_such_a_database_has_none(tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, hyperdrive=CONFIG.hyperdrive[:1])
    assert WorkerDatabases.of(config, 1, CredentialStore(tmp_path), has_traps=False) is None


def test_credentials_are_taken_from_the_store(tmp_path: Path, ca: trustme.CA) -> None:
    store = CredentialStore(tmp_path / "store")
    store.put_ca("corp", ca.cert_pem.bytes())
    (_, binding) = CONFIG.hyperdrive
    binding = msgspec.structs.replace(binding, mtls=HyperdriveTls(sslmode="verify-full", ca_certificate_id="corp"))
    made = WorkerDatabases.of(msgspec.structs.replace(CONFIG, hyperdrive=(binding,)), 1, store, has_traps=True)
    assert made is not None
    (database,) = made.message.databases
    assert (database.sslmode, database.ca) == ("verify-full", store.ca_bundle("corp"))


def test_the_egress_process_knows_names_only_and_the_same_addresses_as_the_worker() -> None:
    known = msgspec.structs.replace(CONFIG, hyperdrive=known_to_egress(CONFIG))
    assert "s3cret" not in repr(known)
    assert "mysql-password" not in repr(known)
    assert names_of(known).bindings() == names_of(CONFIG).bindings()
    assert list(names_of(CONFIG).bindings()) == ["my-db.binding.longshore.internal"]
