def test_it_says_what_is_posted(worker, said):
    assert worker.fetch("/", body="Hello from a worker").status == 201
    assert said == ["#test :Hello from a worker"]


def test_no_second_command_gets_through(worker, said):
    worker.http.post("/", content="one\r\nKICK #test everybody")
    assert said == ["#test :one KICK #test everybody"]


def test_nothing_is_said_by_looking(worker, said):
    assert worker.http.get("/").status_code == 405
    assert said == []
