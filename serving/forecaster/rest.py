"""REST questions, answered before KServe's application sees them: its way through pydantic takes most of the time."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from kserve.metrics import PREDICT_HIST_TIME, get_labels

from alphamill.errors import AlphamillError, InvalidInput, NotFound
from serving.forecaster.model import ForecasterModel
from serving.forecaster.protocol import HEADER_LENGTH, no_such_version, read_question, write_answer

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOG: Final = logging.getLogger("kserve")
_CLOUD_EVENT: Final = "application/cloudevents+json"


class InferenceFirst:
    """ASGI: answers ``POST /v2/models/NAME/infer`` of one model and hands everything else on.

    KServe knows no versions. Under ``/v2/models/NAME/versions/V`` whatever the model offers is there for the version
    that is served, and 404 for any other; the path without a version is for whoever takes what there is.

    Errors look as KServe's do: 400 for a wrong question, 500 for a model that fails, ``{"error": ...}``. CloudEvents
    are KServe's own.
    """

    def __init__(self, model: ForecasterModel, others: App) -> None:
        self._model = model
        self._others = others
        self._model_path = f"/v2/models/{model.name}"
        self._seconds = PREDICT_HIST_TIME.labels(**get_labels(model.name))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._others(scope, receive, send)
        try:
            path = self._without_version(scope["path"])
        except NotFound as error:
            return await _send(send, HTTPStatus.NOT_FOUND, _error(error.message))
        scope = {**scope, "path": path}
        if path != f"{self._model_path}/infer" or scope["method"] != "POST":
            return await self._others(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if "ce-specversion" in headers or headers.get("content-type") == _CLOUD_EVENT:
            return await self._others(scope, receive, send)
        body = await _body(receive)
        if body is None:
            return None
        return await _send(send, *self._answer(body, headers.get(HEADER_LENGTH)))

    def _without_version(self, path: str) -> str:
        """The path as if no version were named; raises `NotFound` for another version than the one that is served."""
        before = f"{self._model_path}/versions/"
        if not path.startswith(before):
            return path
        version, slash, rest = path.removeprefix(before).partition("/")
        if version != self._model.signature.version:
            raise no_such_version(self._model.signature, self._model.name, version)
        return f"{self._model_path}{slash}{rest}"

    def _answer(self, body: bytes, header: str | None) -> tuple[HTTPStatus, bytes, int | None]:
        model = self._model
        try:
            with self._seconds.time():
                question = read_question(model.signature, body, _length(header))
                content, json_length = write_answer(
                    question, model.signature, model.name, model.answer(question.matrix)
                )
            return HTTPStatus.OK, content, json_length
        except InvalidInput as error:
            _LOG.warning("refused a question: %s", error.message)
            return HTTPStatus.BAD_REQUEST, _error(error.message), None
        except AlphamillError as error:
            _LOG.exception("the model failed")
            return HTTPStatus.INTERNAL_SERVER_ERROR, _error(str(error)), None


async def _send(send: Send, status: HTTPStatus, content: bytes, json_length: int | None = None) -> None:
    kind = b"application/json" if json_length is None else b"application/octet-stream"
    lines = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
    if json_length is not None:
        lines.append((HEADER_LENGTH.encode(), str(json_length).encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": lines})
    await send({"type": "http.response.body", "body": content})


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when the sender is gone."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _length(header: str | None) -> int | None:
    if header is None:
        return None
    if not header.isdecimal():
        raise InvalidInput(f"{HEADER_LENGTH} is {header!r}, not a number of bytes.")
    return int(header)


def _error(message: str) -> bytes:
    return orjson.dumps({"error": message})
