def test_what_is_published_can_be_read(worker):
    assert worker.fetch("/kitchen/lamp", method="PUT", body="on").status == 204
    assert worker.fetch("/kitchen/lamp").text == "on"


def test_silence_is_not_found(worker):
    assert worker.http.get("/nobody/speaks").status_code == 404
