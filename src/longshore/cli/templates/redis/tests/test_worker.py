def test_visits_are_counted(worker):
    first = worker.fetch("/page").json()["visits"]
    assert worker.fetch("/page").json() == {"path": "/page", "visits": first + 1}


def test_each_path_has_its_own_counter_over_http(worker):
    before = worker.http.get("/one").json()["visits"]
    worker.http.get("/two")
    assert worker.http.get("/one").json()["visits"] == before + 1
