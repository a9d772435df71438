MAIL = {"to": "zoe@example.com", "subject": "Grüße", "text": "From a worker."}


def test_a_mail_is_sent(worker, mailbox):
    response = worker.fetch("/", json=MAIL)
    assert response.status == 202
    (mail,) = mailbox
    assert mail["To"] == "zoe@example.com"
    assert mail["Subject"] == "Grüße"
    assert mail.get_content().strip() == "From a worker."


def test_nothing_is_sent_by_looking(worker, mailbox):
    assert worker.http.get("/").status_code == 405
    assert mailbox == []
