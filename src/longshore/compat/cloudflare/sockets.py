"""``from cloudflare.sockets import connect``: the library's own ``connect()``."""

from __future__ import annotations

from longshore.core.addresses import SocketAddress
from longshore.core.info import SocketInfo
from longshore.sockets._connect import connect
from longshore.sockets._options import SocketOptions
from longshore.sockets._socket import Socket

__all__ = ["Socket", "SocketAddress", "SocketInfo", "SocketOptions", "connect"]
