"""A server does not begin to work before its port is certain."""

import socket
from collections.abc import Iterator

import pytest

from alphamill.cli import serve
from alphamill.errors import Conflict


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_gateway_on_a_taken_port_names_the_setting(monkeypatch: pytest.MonkeyPatch, tmp_path, taken: int) -> None:
    monkeypatch.setenv("ALPHAMILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ALPHAMILL_GATEWAY_PORT", str(taken))
    with pytest.raises(Conflict, match=f"127.0.0.1:{taken} cannot be listened on") as caught:
        serve.gateway()
    assert caught.value.field == "ALPHAMILL_GATEWAY_PORT"
    assert not (tmp_path / "home").exists()


def test_forecaster_on_a_taken_port_names_the_option(taken: int) -> None:
    with pytest.raises(Conflict, match=r"choose another with --port") as caught:
        serve.forecaster(host="127.0.0.1", port=taken)
    assert caught.value.field == "--port"
