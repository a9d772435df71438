"""The public semantics of ``connect()``: over an injected ``Dialer`` and ``ByteStream``, never over ``net``."""
