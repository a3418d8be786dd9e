"""Pages that a command serves on this machine: a free port, a link, a browser."""

import os
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterable
from typing import Any

from medfit.errors import UserError
from medfit.terminal.console import say

HOST = "127.0.0.1"
NUM_PORTS = 50


def free_port(wanted: int) -> int:
    """Returns the first free port from the wanted one on.

    Raises:
        UserError: fifty ports in a row are taken.
    """
    for port in range(wanted, wanted + NUM_PORTS):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise UserError(f"tracking.ui_port: {wanted} and the {NUM_PORTS - 1} ports after it are taken")


def open_page(url: str) -> None:
    """Says a link, and opens it where there is a display."""
    say(url)
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("darwin", "win32"):
        webbrowser.open(url)


def own_pages_only(app: Callable[..., Iterable[bytes]], port: int) -> Callable[..., Iterable[bytes]]:
    """Returns a WSGI application that answers its own pages alone, as MLflow's server does.

    A page of elsewhere, opened in the same browser, could else read and remove studies: by its own Origin, or by a
    name of its own for this machine (DNS rebinding).

    Args:
        app: To be protected.
        port: Where it is served.
    """
    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
    origins = {f"http://{host}" for host in hosts}

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        if environ.get("HTTP_HOST") in hosts and (origin is None or origin in origins):
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"This address answers its own pages alone."]

    return checked
