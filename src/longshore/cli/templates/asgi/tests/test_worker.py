def test_it_greets(worker):
    assert worker.fetch("/").json() == {"message": "Hello from {{name}}!"}


def test_numbers_are_checked(worker):
    assert worker.fetch("/square/12").json() == {"number": 12, "square": 144}
    assert worker.fetch("/square/twelve").status == 422


def test_it_has_its_documentation(worker):
    assert "swagger" in worker.http.get("/docs").text
