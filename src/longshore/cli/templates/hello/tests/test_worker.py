def test_it_greets(worker):
    response = worker.fetch("/")
    assert response.status == 200
    assert response.text == "Hello from {{name}}!\n"


def test_it_greets_over_http(worker):
    assert worker.http.get("/").text == "Hello from {{name}}!\n"
