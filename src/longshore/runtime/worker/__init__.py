"""The worker process: boot the user's module, serve HTTP on an inherited socket, report to the host."""
