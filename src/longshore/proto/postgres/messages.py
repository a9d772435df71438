"""Every message of protocol 3.0 and 3.2, both ways (PURE): one place to import them from."""

from __future__ import annotations

from longshore.proto.postgres import backend_messages, frontend_messages
from longshore.proto.postgres.backend_messages import *  # noqa: F403 - the names are in its __all__
from longshore.proto.postgres.frontend_messages import *  # noqa: F403 - the names are in its __all__

__all__: list[str] = []
__all__ += frontend_messages.__all__
__all__ += backend_messages.__all__
