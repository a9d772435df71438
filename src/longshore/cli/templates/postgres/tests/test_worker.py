def test_every_customer_is_listed(worker):
    response = worker.fetch("/")
    assert response.status == 200
    assert {row["name"] for row in response.json()} >= {"Ada Lovelace", "José Álvarez", "李娜"}


def test_over_http(worker):
    response = worker.http.get("/")
    assert response.headers["content-type"] == "application/json"
    assert response.json()[0]["city"] == "London"
