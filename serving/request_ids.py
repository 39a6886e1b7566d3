"""A name for every request: in its answer, and in every line that is logged while it is answered."""

import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from structlog.contextvars import bind_contextvars, clear_contextvars

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADER: Final = "X-Request-ID"
#: What a caller may send: it goes into logs, so nothing that could be taken for a part of one.
SANE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class RequestIds:
    """ASGI middleware: takes the caller's `HEADER` if it is sane, else makes an id, and gives it back.

    The id stays bound after the answer: the server runs each request in a task of its own, and logs there what broke.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        asked = next((value for name, value in scope["headers"] if name == HEADER.lower().encode()), b"")
        given = asked.decode("latin-1")
        request_id = given if SANE.fullmatch(given) else uuid.uuid4().hex
        clear_contextvars()
        bind_contextvars(request_id=request_id)

        async def named(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER.lower().encode(), request_id.encode())]
            await send(message)

        return await self._app(scope, receive, named)
