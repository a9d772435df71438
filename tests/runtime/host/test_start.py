"""What a new worker is told."""

from __future__ import annotations

import msgspec

from longshore.config.model import WorkerConfig
from longshore.proto.ipc.messages import ErrorReport, SourceFrame, Start, decode_message, encode_message
from longshore.runtime.host.options import HostOptions
from longshore.runtime.host.start import broken_config, silent_failure, start_message

CONFIG = WorkerConfig(
    name="w", main="/p/entry.py", module_root="/p", project_dir="/p", secrets={"KEY": "s3cret"}, crons=("* * * * *",)
)


def test_the_configuration_travels_with_its_secrets() -> None:
    options = HostOptions(is_dev=True, log_requests=False, log_connections=True)
    start = decode_message(encode_message(start_message(CONFIG, 7, options, ("http://localhost:1",))))
    assert isinstance(start, Start)
    assert msgspec.json.decode(start.config, type=WorkerConfig) == CONFIG
    assert (start.worker_id, start.is_dev, start.log_requests, start.log_connections) == (7, True, False, True)
    assert start.urls == ("http://localhost:1",)


def test_the_page_of_a_failure_gets_the_report_and_no_secrets() -> None:
    report = ErrorReport(type="LookupError", message="no", text="LookupError: no", cause=silent_failure("because"))
    config = broken_config(CONFIG, report)
    assert msgspec.convert(config.vars["report"], ErrorReport) == report
    assert config.secrets == {}
    assert config.crons == ()
    assert config.main == "longshore.runtime.worker.broken:app"


def test_a_silent_failure_says_where_the_worker_was() -> None:
    frame = SourceFrame(file="/p/entry.py", line=2, function="<module>", first_line=1, source=("import x", "x.wait()"))
    report = silent_failure("not ready", (frame, SourceFrame(file="x.so", line=0, function="wait")))
    assert report.message == "not ready"
    assert report.text.splitlines() == [
        "not ready",
        '  File "/p/entry.py", line 2, in <module>',
        "    x.wait()",
        '  File "x.so", line 0, in wait',
    ]
