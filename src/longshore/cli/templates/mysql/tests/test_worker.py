def test_every_customer_is_listed(worker):
    rows = worker.fetch("/").json()
    assert [row["name"] for row in rows] == ["Ada Lovelace", "José Álvarez", "李娜"]


def test_over_http(worker):
    assert worker.http.get("/").json()[0]["city"] == "London"
