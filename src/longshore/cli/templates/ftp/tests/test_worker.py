def test_files_are_listed(worker):
    assert worker.fetch("/").json() == ["hello.txt", "numbers.txt"]


def test_a_file_is_streamed(worker):
    assert worker.fetch("/hello.txt").text == "Hello, FTP!\n"
    assert worker.http.get("/numbers.txt").text.endswith("9999\n")


def test_a_file_that_is_not_there(worker):
    assert worker.http.get("/nothing").status_code == 404


def test_no_second_command_gets_through(worker):
    assert worker.http.get("/x%0d%0aDELE%20hello.txt").status_code == 404
    assert worker.fetch("/hello.txt").status == 200
