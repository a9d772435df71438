def test_a_command_is_run(worker):
    assert worker.fetch("/uptime").text == "ran uptime\n"


def test_nothing_else_can_be_run(worker):
    assert worker.http.get("/rm%20-rf%20/").status_code == 404
