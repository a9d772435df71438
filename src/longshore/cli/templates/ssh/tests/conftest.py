"""An SSH server for the tests: asyncssh's own, in a thread, which answers every command with its name."""

import asyncio
import threading

import asyncssh
import pytest


class Door(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == ("worker", "secret")


def run(process):
    process.stdout.write(f"ran {process.command}\n")
    process.exit(0)


@pytest.fixture(scope="session")
def ssh_server():
    key = asyncssh.generate_private_key("ssh-ed25519")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start():
        return await asyncssh.listen("127.0.0.1", 0, server_factory=Door, server_host_keys=[key], process_factory=run)

    async def stop(server):
        server.close()
        await server.wait_closed()

    server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    yield {"port": server.get_port(), "key": key.export_public_key().decode().strip()}
    asyncio.run_coroutine_threadsafe(stop(server), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def worker_bindings(ssh_server):
    """What the worker of the tests finds in its `env`."""
    return {
        "SSH_HOST": "127.0.0.1",
        "SSH_PORT": ssh_server["port"],
        "SSH_HOST_KEY": ssh_server["key"],
        "SSH_USER": "worker",
        "SSH_PASSWORD": "secret",
    }
