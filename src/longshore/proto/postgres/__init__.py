"""PURE: the PostgreSQL frontend/backend protocol, versions 3.0 and 3.2, both sides, without I/O.

- ``constants``, ``messages``, ``codec``, ``framing``: bytes ↔ messages;
- ``startup``, ``startup_framing``: the first packets, versions, options;
- ``auth``, ``auth_client``, ``auth_server``, ``scram*``, ``saslprep``, ``channel_binding``: who is who;
- ``states`` as tables, ``frontend`` (we are the client), ``backend`` (we are the server), ``relay`` (in between);
- ``errors``, ``sqlstate``, ``violation``: what goes wrong, and how it is said.

Whatever a peer sends, these raise ``ProtocolViolation`` and, in a login, ``AuthenticationFailed``; nothing else.
"""
