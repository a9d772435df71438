"""The matrix: every client, the server it speaks to, and the ways it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CLIENTS", "GROUPS", "Case", "Client", "cases"]

ASYNC = ("asyncio", "uvloop")
BLOCKING = ("",)
BOTH = ("plain", "tls")
ALL = ("plain", "tls", "starttls")
PLAIN = ("plain",)

MYSQLCLIENT = ("/usr/bin/python3", "-c", "import MySQLdb; print(MySQLdb.__version__)")


@dataclass(frozen=True, slots=True)
class Client:
    """A client, and how it is run."""

    name: str
    """As people call it."""
    module: str
    """Its module in ``tests.interop.clients``."""
    distributions: tuple[str, ...] = ()
    """What is installed for it; the first one's version is the client's."""
    loops: tuple[str, ...] = BLOCKING
    modes: tuple[str, ...] = BOTH
    program: str = ""
    """For a client that is a child process: its name in ``tools/devkit/system.py``."""
    version_command: tuple[str, ...] = ()
    """What makes a program say its version."""
    npm: str = ""
    """For Node.js: the package."""
    is_own_process: bool = False
    """Whether it wants a Python of its own: it changes, or settles for good, what is the process's."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The clients of one kind of server."""

    title: str
    server: str
    """The fixture."""
    clients: tuple[Client, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One run: a client, on a loop, with or without TLS."""

    group: Group
    client: Client
    loop: str
    mode: str

    @property
    def name(self) -> str:
        """What the test is called."""
        return "-".join(filter(None, (self.client.module, self.loop, self.mode)))


GROUPS = (
    Group(
        "PostgreSQL",
        "postgres_server",
        (
            Client("asyncpg", "postgres_asyncpg", ("asyncpg",), ASYNC),
            Client("psycopg 3, async", "postgres_psycopg_async", ("psycopg",), ASYNC),
            Client("psycopg 3", "postgres_psycopg", ("psycopg",)),
            Client("psycopg2", "postgres_psycopg2", ("psycopg2-binary",)),
            Client("pg8000", "postgres_pg8000", ("pg8000",)),
            Client("SQLAlchemy, async over asyncpg", "postgres_sqlalchemy_async", ("sqlalchemy", "asyncpg"), ASYNC),
            Client("SQLAlchemy over psycopg 3", "postgres_sqlalchemy", ("sqlalchemy", "psycopg")),
            Client("SQLModel over pg8000", "postgres_sqlmodel", ("sqlmodel", "pg8000")),
            Client("Django ORM over psycopg 3", "postgres_django", ("django", "psycopg"), is_own_process=True),
            Client("Tortoise ORM over asyncpg", "postgres_tortoise", ("tortoise-orm",), ASYNC, is_own_process=True),
            Client("peewee over psycopg2", "postgres_peewee", ("peewee",)),
            Client("psql", "postgres_psql", program="psql", version_command=("psql", "--version")),
            Client("Node.js: pg", "postgres_node_pg", npm="pg"),
        ),
    ),
    Group(
        "MySQL, MariaDB",
        "mysql_server",
        (
            Client("PyMySQL", "mysql_pymysql", ("pymysql",)),
            Client("aiomysql", "mysql_aiomysql", ("aiomysql",), ASYNC),
            Client("asyncmy", "mysql_asyncmy", ("asyncmy",), ASYNC),
            Client("mysql-connector-python, in Python", "mysql_connector", ("mysql-connector-python",)),
            Client(
                "mysql-connector-python, in C",
                "mysql_connector_c",
                ("mysql-connector-python",),
                is_own_process=True,
                note="brings its own OpenSSL, which has to be loaded before Python's: run it in a child process",
            ),
            Client("mysqlclient", "mysql_mysqlclient", program="mysqlclient", version_command=MYSQLCLIENT),
            Client("SQLAlchemy, async over aiomysql", "mysql_sqlalchemy_async", ("sqlalchemy", "aiomysql"), ASYNC),
            Client("mysql", "mysql_program", program="mysql", version_command=("mysql", "--version")),
            Client("Node.js: mysql2", "mysql_node_mysql2", npm="mysql2"),
        ),
    ),
    Group(
        "Redis",
        "redis_server",
        (
            Client("redis-py", "redis_sync", ("redis",)),
            Client("redis-py, redis.asyncio", "redis_asyncio", ("redis",), ASYNC),
            Client(
                "redis-cli",
                "redis_cli",
                program="redis-cli",
                version_command=("redis-cli", "--version"),
                note="checks who signed a certificate, not the name in it",
            ),
            Client("Node.js: redis", "redis_node", npm="redis"),
        ),
    ),
    Group(
        "MongoDB",
        "mongo_server",
        (
            Client("PyMongo", "mongo_pymongo", ("pymongo",)),
            Client("PyMongo, AsyncMongoClient", "mongo_pymongo_async", ("pymongo",), ASYNC),
        ),
        note="The server is a stub that speaks MongoDB's wire protocol: Debian has no MongoDB.",
    ),
    Group(
        "RabbitMQ (AMQP)",
        "rabbitmq_server",
        (
            Client("aio-pika", "amqp_aio_pika", ("aio-pika",), ASYNC),
            Client("pika", "amqp_pika", ("pika",)),
        ),
    ),
    Group("NATS", "nats_server", (Client("nats-py", "nats_py", ("nats-py",), ASYNC),)),
    Group(
        "Kafka",
        "kafka_server",
        (
            Client("confluent-kafka (librdkafka)", "kafka_confluent", ("confluent-kafka",), modes=PLAIN),
            Client("aiokafka", "kafka_aiokafka", ("aiokafka",), ASYNC, PLAIN),
        ),
        note="The server is librdkafka's mock cluster, which has no TLS.",
    ),
    Group(
        "MQTT",
        "mqtt_server",
        (
            Client("paho-mqtt", "mqtt_paho", ("paho-mqtt",)),
            Client("aiomqtt", "mqtt_aiomqtt", ("aiomqtt",), ASYNC),
        ),
    ),
    Group(
        "SMTP",
        "smtp_server",
        (
            Client("smtplib", "smtp_smtplib", modes=("plain", "starttls")),
            Client("aiosmtplib", "smtp_aiosmtplib", ("aiosmtplib",), ASYNC, ("plain", "starttls")),
        ),
    ),
    Group("IMAP", "imap_server", (Client("imaplib", "imap_imaplib", modes=ALL),)),
    Group(
        "FTP",
        "ftp_server",
        (
            Client("ftplib", "ftp_ftplib", modes=("plain", "starttls")),
            Client(
                "aioftp",
                "ftp_aioftp",
                ("aioftp",),
                ASYNC,
                ("plain", "starttls"),
                note="with TLS the control connection only: on a data connection aioftp starts TLS before it asks for "
                "the file, vsftpd after",
            ),
        ),
    ),
    Group(
        "SSH",
        "ssh_server",
        (
            Client("paramiko", "ssh_paramiko", ("paramiko",), modes=PLAIN),
            Client("asyncssh", "ssh_asyncssh", ("asyncssh",), ASYNC, PLAIN),
            Client("ssh", "ssh_program", modes=PLAIN, program="ssh", version_command=("ssh", "-V")),
        ),
        note="SSH encrypts by itself; the server's host key was verified.",
    ),
    Group(
        "IRC",
        "irc_server",
        (
            Client("irc", "irc_irc", ("irc",)),
            Client(
                "bottom",
                "irc_bottom",
                ("bottom",),
                ASYNC,
                note="version 2 needs one attribute replaced on Python 3.10 and newer; version 3 needs Python 3.12",
            ),
        ),
    ),
    Group("LDAP", "ldap_server", (Client("ldap3", "ldap_ldap3", ("ldap3",), modes=ALL),)),
    Group(
        "gRPC",
        "grpc_server",
        (
            Client("grpcio", "grpc_sync", ("grpcio",)),
            Client("grpcio, grpc.aio", "grpc_aio", ("grpcio",), ASYNC),
        ),
    ),
    Group(
        "HTTP",
        "web_server",
        (
            Client("httpx", "http_httpx", ("httpx",)),
            Client("httpx, async", "http_httpx_async", ("httpx",), ASYNC),
            Client("httpx on trio", "http_httpx_trio", ("httpx", "trio")),
            Client("aiohttp", "http_aiohttp", ("aiohttp",), ASYNC),
            Client("aiohttp with aiodns (c-ares)", "http_aiohttp_aiodns", ("aiodns", "aiohttp"), ASYNC),
            Client("requests", "http_requests", ("requests",)),
            Client("requests on gevent", "http_gevent", ("gevent", "requests"), is_own_process=True),
            Client("urllib.request", "http_urllib"),
            Client("curl", "http_curl", program="curl", version_command=("curl", "--version")),
            Client("Node.js: fetch, https", "http_node", program="node", version_command=("node", "--version")),
            Client(
                "a program in Go (hey), with Go's resolver",
                "http_go",
                modes=PLAIN,
                program="hey",
                version_command=("dpkg-query", "-W", "hey"),
            ),
            Client(
                "a program in C, linked statically (gcc)",
                "http_static_c",
                modes=PLAIN,
                program="gcc",
                version_command=("gcc", "-dumpfullversion"),
            ),
        ),
    ),
    Group(
        "WebSocket",
        "web_server",
        (
            Client("websockets", "ws_websockets", ("websockets",), ASYNC),
            Client(
                "websockets, blocking",
                "ws_websockets_sync",
                ("websockets",),
                note="over TLS, two threads of it use one TLS object at once, and can hang when the server sends "
                "something unasked; the one here sends no session tickets",
            ),
            Client("aiohttp", "ws_aiohttp", ("aiohttp",), ASYNC),
        ),
    ),
)

CLIENTS = tuple(client for group in GROUPS for client in group.clients)


def cases() -> Iterator[Case]:
    """Return every run of the matrix."""
    for group in GROUPS:
        for client in group.clients:
            yield from (Case(group, client, loop, mode) for loop in client.loops for mode in client.modes)
