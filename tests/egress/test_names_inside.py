"""Resolvers that programs really have, unmodified, in a namespace like a worker's: glibc, c-ares, dnspython, Node."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from contextlib import ExitStack
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from longshore.config.model import NetworkRules
from longshore.egress.dns_server import NameServer
from tests.egress.name_rig import NameService, make_context, upstream
from tests.egress.names_inside import NOT_ALLOWED
from tests.system import is_ci, program

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.egress.context import WorkerContext

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's"),
    pytest.mark.one_loop("asyncio"),
]

# An order that no sorting would make.
ORDER = ["192.0.2.200", "192.0.2.3", "192.0.2.77", "192.0.2.1", "192.0.2.140"]
MANY = [f"192.0.2.{number}" for number in range(64)]
KNOWN: dict[str, list[str] | Exception] = {
    "db.example.com": ORDER,
    "both.example.com": ["2001:db8::5", "2001:db8::2", "192.0.2.9"],
    "six.example.com": ["2001:db8::6"],
    "many.example.com": MANY,
    "empty.example.com": socket.gaierror(socket.EAI_NODATA, "No address associated with hostname"),
    "single": ["10.0.0.5"],
    "vm": ["127.0.0.1"],
}
ZONE = {
    ("_mongodb._tcp.example.com", "SRV"): ["30 0 5 27017 db.example.com."],
    ("example.com", "TXT"): ['30 "a text"', f'30 "{"x" * 250}"', f'30 "{"y" * 250}"', f'30 "{"z" * 250}"'],
}
FILES = {
    "resolv.conf": "nameserver 127.0.0.1\noptions edns0\n",
    "hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\tworker\n",
    "nsswitch.conf": "hosts: files dns\n",
}


async def run_inside(folder: Path, context: WorkerContext, *command: str) -> Any:
    """Return what a program prints as JSON."""
    etc = folder / "etc"
    etc.mkdir()
    for name, text in FILES.items():
        (etc / name).write_text(text)
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(sock) for sock in socket.socketpair())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.egress.names_inside", str(theirs.fileno()), str(etc), *command),
            pass_fds=[theirs.fileno()],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        theirs.close()
        _, fds, *_ = await asyncio.to_thread(socket.recv_fds, ours, 1, 2)
    server = NameServer(context, *(socket.socket(fileno=fd) for fd in fds)) if fds else None
    if server is not None:
        server.start()
    try:
        printed, complaint = await process.communicate()
    finally:
        if server is not None:
            await server.aclose()
        await context.resolver.aclose()
    if process.returncode == NOT_ALLOWED and not is_ci():
        pytest.skip(f"no namespaces here: {complaint.decode()}")
    assert process.returncode == 0, complaint.decode()
    return json.loads(printed)


class Real:
    """Maps answers back."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context

    def __call__(self, name: str, texts: list[str]) -> list[str]:
        found = []
        for text in texts:
            destination = self._context.names.destination(ip_address(text))
            assert destination is not None, text
            assert (destination.is_synthetic, destination.hostname) == (True, name)
            found.append(str(destination.ip))
        return found


def context_for(**options: Any) -> WorkerContext:
    rules = NetworkRules(allow=("network",), deny=("denied.example.com",), hosts={"over.ride": ("10.9.8.7", "fd00::7")})
    return make_context(rules, service=NameService(KNOWN), **options)


GLIBC = """
import json, socket

def look_up(name, family=0, flags=0):
    try:
        found = socket.getaddrinfo(name, 5432, family, socket.SOCK_STREAM, 0, flags)
    except socket.gaierror as exc:
        return exc.errno
    return [entry[4][0] for entry in found]

names = ["db.example.com", "both.example.com", "six.example.com", "many.example.com", "empty.example.com", "single",
         "over.ride", "vm", "missing.example.com", "denied.example.com", "localhost", "app.localhost", "worker"]
found = {name: look_up(name) for name in names}
found["4"] = look_up("both.example.com", socket.AF_INET)
found["6"] = look_up("both.example.com", socket.AF_INET6)
found["4 only"] = look_up("db.example.com", socket.AF_INET6)
found["config"] = look_up("both.example.com", 0, socket.AI_ADDRCONFIG)
found["mapped"] = look_up("db.example.com", socket.AF_INET6, socket.AI_V4MAPPED)
found["by name"] = socket.gethostbyname_ex("db.example.com")[2]
found["reverse"] = socket.gethostbyaddr(found["db.example.com"][0])[0]
found["full"] = socket.getfqdn("127.0.0.1")
print(json.dumps(found))
"""


async def test_glibc(tmp_path: Path) -> None:
    context = context_for()
    found = await run_inside(tmp_path, context, sys.executable, "-c", GLIBC)
    real = Real(context)
    assert real("db.example.com", found["db.example.com"]) == ORDER
    both = KNOWN["both.example.com"]
    assert real("both.example.com", found["both.example.com"]) == both
    assert real("six.example.com", found["six.example.com"]) == KNOWN["six.example.com"]
    assert real("many.example.com", found["many.example.com"]) == MANY  # 1,024 bytes: through TCP or EDNS
    assert real("single", found["single"]) == ["10.0.0.5"]
    assert sorted(real("over.ride", found["over.ride"])) == ["10.9.8.7", "fd00::7"]
    assert real("vm", found["vm"]) == ["127.0.0.1"]  # the host's loopback, not the worker's
    assert found["empty.example.com"] == socket.EAI_NODATA
    assert found["missing.example.com"] == found["denied.example.com"] == socket.EAI_NONAME
    assert set(found["localhost"]) <= {"127.0.0.1", "::1"}
    assert set(found["app.localhost"]) == {"127.0.0.1", "::1"}
    assert found["worker"] == ["127.0.0.1"]
    assert real("both.example.com", found["4"]) == ["192.0.2.9"]
    assert real("both.example.com", found["6"]) == ["2001:db8::5", "2001:db8::2"]
    assert found["4 only"] == socket.EAI_NODATA
    assert real("both.example.com", found["config"]) == both
    assert real("db.example.com", found["mapped"]) == ORDER
    assert real("db.example.com", found["by name"]) == ORDER
    assert found["reverse"] == "db.example.com"
    assert found["full"] == "localhost"
    asked = context.resolver._get_addresses.asked  # type: ignore[union-attr]
    assert "denied.example.com" not in asked
    assert len(asked) == len(set(asked)) == 8  # once each, for A and AAAA together


C_ARES = """
import asyncio, json
import aiodns

async def main():
    resolver = aiodns.DNSResolver(timeout=10, tries=1)
    found = {"servers": resolver.nameservers}
    for kind, name in [("A", "db.example.com"), ("AAAA", "both.example.com"), ("A", "many.example.com"),
                       ("A", "missing.example.com"), ("A", "empty.example.com"), ("SRV", "_mongodb._tcp.example.com"),
                       ("TXT", "example.com"), ("MX", "example.com"), ("A", "denied.example.com")]:
        try:
            reply = await resolver.query_dns(name, kind)
        except aiodns.error.DNSError as exc:
            found[f"{kind} {name}"] = exc.args[0]
        else:
            found[f"{kind} {name}"] = [str(getattr(record.data, "addr", record.data)) for record in reply.answer]
    info = await resolver.getaddrinfo("db.example.com", port=80)
    found["info"] = [node.addr[0].decode() for node in info.nodes]
    await resolver.close()
    print(json.dumps(found))

asyncio.run(main())
"""
ARES_ENODATA, ARES_ENOTFOUND = 1, 4


async def test_c_ares(tmp_path: Path) -> None:
    async with upstream(tmp_path, ZONE) as (_, system_dns):
        context = context_for(system_dns=system_dns)
        found = await run_inside(tmp_path, context, sys.executable, "-c", C_ARES)
    real = Real(context)
    assert real("db.example.com", found["A db.example.com"]) == ORDER
    assert real("both.example.com", found["AAAA both.example.com"]) == ["2001:db8::5", "2001:db8::2"]
    assert real("many.example.com", found["A many.example.com"]) == MANY
    assert found["A missing.example.com"] == found["A denied.example.com"] == ARES_ENOTFOUND
    assert found["A empty.example.com"] == found["MX example.com"] == ARES_ENODATA
    assert "db.example.com" in found["SRV _mongodb._tcp.example.com"][0]
    assert len(found["TXT example.com"]) == 4
    assert sorted(real("db.example.com", found["info"])) == sorted(ORDER)


DNSPYTHON = """
import json
import dns.resolver, dns.reversename

resolver = dns.resolver.Resolver()
def ask(name, kind, **options):
    try:
        answer = resolver.resolve(name, kind, search=False, **options)
    except dns.resolver.NXDOMAIN as exc:
        response = exc.response(dns.name.from_text(name))
        return ["NXDOMAIN", *map(str, response.options)]
    except dns.resolver.NoAnswer:
        return ["NODATA"]
    return [record.to_text() for record in answer]

found = {"db": ask("db.example.com", "A"), "tcp": ask("many.example.com", "A", tcp=True),
         "missing": ask("missing.example.com", "A"), "srv": ask("_mongodb._tcp.example.com", "SRV"),
         "txt": ask("example.com", "TXT"), "https": ask("db.example.com", "HTTPS")}
found["ptr"] = ask(dns.reversename.from_address(found["db"][0]), "PTR")
resolver.use_edns(0, 0, 4096)
found["many"] = ask("many.example.com", "A")
found["denied"] = ask("denied.example.com", "A")
print(json.dumps(found))
"""


async def test_dnspython(tmp_path: Path) -> None:
    async with upstream(tmp_path, ZONE) as (_, system_dns):
        context = context_for(system_dns=system_dns)
        found = await run_inside(tmp_path, context, sys.executable, "-c", DNSPYTHON)
    real = Real(context)
    assert sorted(real("db.example.com", found["db"])) == sorted(ORDER)
    assert sorted(real("many.example.com", found["tcp"])) == sorted(MANY)
    assert sorted(real("many.example.com", found["many"])) == sorted(MANY)
    assert found["missing"] == ["NXDOMAIN"]
    assert found["denied"] == ["NXDOMAIN", "EDE 15 (Blocked): blocked by policy of the host"]
    assert found["srv"] == ["0 5 27017 db.example.com."]
    assert len(found["txt"]) == 4
    assert found["https"] == ["NODATA"]
    assert found["ptr"] == ["db.example.com."]


NODE = """
const dns = require('node:dns').promises;
const or = (promise) => promise.catch((error) => error.code);
(async () => {
  const found = {
    all: await or(dns.lookup('both.example.com', {all: true, verbatim: true})),
    one: await or(dns.lookup('db.example.com')),
    config: await or(dns.lookup('db.example.com', {hints: require('node:dns').ADDRCONFIG})),
    four: await or(dns.resolve4('db.example.com', {ttl: true})),
    six: await or(dns.resolve6('both.example.com')),
    srv: await or(dns.resolveSrv('_mongodb._tcp.example.com')),
    txt: await or(dns.resolveTxt('example.com')),
    missing: await or(dns.lookup('missing.example.com')),
    missing4: await or(dns.resolve4('missing.example.com')),
    denied: await or(dns.lookup('denied.example.com')),
    empty: await or(dns.resolve4('empty.example.com')),
    local: await or(dns.lookup('localhost')),
  };
  found.reverse = await or(dns.reverse(found.one.address));
  console.log(JSON.stringify(found));
})();
"""


@pytest.mark.needs("node")
async def test_node(tmp_path: Path) -> None:
    async with upstream(tmp_path, ZONE) as (_, system_dns):
        context = context_for(system_dns=system_dns)
        found = await run_inside(tmp_path, context, program("node"), "-e", NODE)
    real = Real(context)
    assert real("both.example.com", [each["address"] for each in found["all"]]) == KNOWN["both.example.com"]
    assert real("db.example.com", [found["one"]["address"]]) == ORDER[:1]
    assert real("db.example.com", [found["config"]["address"]]) == ORDER[:1]
    assert real("db.example.com", [each["address"] for each in found["four"]]) == ORDER
    assert all(0 < each["ttl"] <= 10 for each in found["four"])
    assert real("both.example.com", found["six"]) == ["2001:db8::5", "2001:db8::2"]
    assert [(each["name"], each["port"]) for each in found["srv"]] == [("db.example.com", 27017)]
    assert len(found["txt"]) == 4
    assert found["missing"] == found["missing4"] == found["denied"] == "ENOTFOUND"
    assert found["empty"] == "ENODATA"
    assert found["local"]["address"] in {"127.0.0.1", "::1"}
    assert found["reverse"] == ["db.example.com"]
