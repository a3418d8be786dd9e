import socket

import pytest

from medfit.errors import UserError
from medfit.terminal import serving


def test_a_taken_port_is_passed_over():
    with socket.socket() as taken:
        taken.bind((serving.HOST, 0))
        wanted = taken.getsockname()[1]
        assert serving.free_port(wanted) > wanted


def test_no_free_port_is_told(monkeypatch):
    class Taken(socket.socket):
        def bind(self, address):
            raise OSError("taken")

    monkeypatch.setattr(socket, "socket", Taken)
    with pytest.raises(UserError, match="tracking.ui_port"):
        serving.free_port(5000)


def test_a_link_is_said_and_opened_only_where_there_is_a_display(monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(serving.webbrowser, "open", opened.append)
    monkeypatch.setattr(serving.sys, "platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    serving.open_page("http://127.0.0.1:1/without")
    monkeypatch.setenv("DISPLAY", ":0")
    serving.open_page("http://127.0.0.1:1/with")
    assert opened == ["http://127.0.0.1:1/with"]
    assert capsys.readouterr().out.split() == ["http://127.0.0.1:1/without", "http://127.0.0.1:1/with"]


@pytest.mark.parametrize(
    ("host", "origin", "answered"),
    [
        ("127.0.0.1:5000", None, True),
        ("localhost:5000", None, True),
        ("localhost:5000", "http://localhost:5000", True),
        ("127.0.0.1:5000", "http://evil.example", False),
        ("127.0.0.1:5000", "http://127.0.0.1:8000", False),
        ("127.0.0.1:5000", "null", False),
        ("evil.example:5000", None, False),
        ("evil.example:5000", "http://evil.example:5000", False),
        (None, None, False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_pages_of_elsewhere_are_not_answered(host, origin, answered, method):
    asked, told = [], []

    def app(environ, start_response):
        asked.append(environ["REQUEST_METHOD"])
        start_response("200 OK", [])
        return [b"studies"]

    given = {"REQUEST_METHOD": method, "HTTP_HOST": host, "HTTP_ORIGIN": origin}
    environ = {name: value for name, value in given.items() if value is not None}
    answer = b"".join(serving.own_pages_only(app, 5000)(environ, lambda status, headers: told.append(status)))
    assert (answer == b"studies", bool(asked)) == (answered, answered)
    assert told == ["200 OK" if answered else "403 Forbidden"]
