"""Whether a v2 server is ready."""

import http.client
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

PROBE_SECS: Final = 2.0


def ready(url: str) -> bool:
    """True when a v2 server at `url` says so. A bare connection: it is asked many times while a server starts."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PROBE_SECS)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
