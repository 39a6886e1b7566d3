"""What feature_repo/ reads from the environment, and how it gets there."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from alphamill import environment as environ
from alphamill.errors import InvalidConfig

_LOCK: Final = threading.Lock()


def connection_string(redis_url: str, timeout_secs: float) -> str:
    """A redis:// URL in Feast's words: ``host:port,db=0,...``.

    Raises
    ------
    InvalidConfig
        Not a redis URL, or a part that Feast's format cannot carry.
    """
    parts = urlsplit(redis_url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise InvalidConfig(
            f"{parts.scheme}://... is no Redis URL.", field="redis_url", remedy="Use redis://host:port/db."
        )
    options = {
        "db": parts.path.strip("/") or parse_qs(parts.query).get("db", ["0"])[0],
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "ssl": "true" if parts.scheme == "rediss" else "",
        "socket_connect_timeout": str(timeout_secs),
        "socket_timeout": str(timeout_secs),
        # redis-py would try four times over some 5 s; the trading loop decides when to ask again.
        "retry": "null",
    }
    if any("," in value for value in options.values()):
        raise InvalidConfig("Feast cannot take a comma in a Redis password or user.", field="redis_url")
    words = [f"{name}={value}" for name, value in options.items() if value]
    return ",".join([f"{parts.hostname}:{parts.port or 6379}", *words])


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables for a moment; one caller at a time."""
    with _LOCK, environ.variables(variables):
        yield
