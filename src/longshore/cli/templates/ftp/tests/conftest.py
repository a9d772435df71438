"""An FTP server for the tests: aioftp's own, in a thread, over a folder with two files."""

import asyncio
import threading

import aioftp
import pytest


@pytest.fixture(scope="session")
def ftp_port(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ftp")
    (folder / "hello.txt").write_text("Hello, FTP!\n")
    (folder / "numbers.txt").write_text("".join(f"{number}\n" for number in range(10_000)))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    user = aioftp.User("worker", "secret", base_path=folder)

    async def start():
        server = aioftp.Server([user])
        await server.start("127.0.0.1", 0)
        return server

    server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    yield server.server_port
    asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def worker_bindings(ftp_port):
    """What the worker of the tests finds in its `env`."""
    return {"FTP_HOST": "127.0.0.1", "FTP_PORT": ftp_port, "FTP_PASSWORD": "secret"}
