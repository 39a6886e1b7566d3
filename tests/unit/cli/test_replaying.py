"""A replay sends its bars to its own controller and to no other."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from alphamill.cli.replaying import is_ready


class Ready(BaseHTTPRequestHandler):
    """Says that it can trade, as a controller of /mine does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "ready", "home": "/mine"}).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Ready)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_only_the_controller_of_this_home_is_waited_for(url: str) -> None:
    assert is_ready(url, Path("/mine"))
    assert not is_ready(url, Path("/yours"))


def test_nobody_there_is_not_ready() -> None:
    assert not is_ready("http://127.0.0.1:9", Path("/mine"))
