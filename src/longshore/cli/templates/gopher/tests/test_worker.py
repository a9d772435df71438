def test_a_page_streams_through(worker):
    response = worker.fetch("/about.txt")
    assert response.status == 200
    assert response.text.startswith("You asked for /about.txt.")
    assert "✓" in response.text


def test_over_http(worker):
    assert worker.http.get("/").text.startswith("You asked for /.")
