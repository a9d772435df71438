"""The parent process: listening sockets, worker processes, reload, drain, cron."""
