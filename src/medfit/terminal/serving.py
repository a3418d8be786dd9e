"""Pages that a command serves on this machine: a free port, a link, a browser."""

import os
import socket
import sys
import webbrowser

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
