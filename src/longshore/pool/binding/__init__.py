"""The pool as the ``[[hyperdrive]]`` bindings of workers."""
