"""The egress process: the only place that opens outbound connections of workers. ``client`` is the worker's side."""
