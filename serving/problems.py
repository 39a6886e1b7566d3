"""The one place where errors become HTTP: RFC 9457 problem+json."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from structlog.contextvars import get_contextvars

from alphamill.errors import AlphamillError
from alphamill.secret_url import masked_text
from serving.gateway.schemas import Problem
from serving.request_ids import HEADER

MEDIA_TYPE = "application/problem+json"
SEND_JSON = "Send one JSON object in UTF-8, with Content-Type: application/json."

#: For a route's `responses=`: what every route may answer beside its own success.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {}}}
    for status in (404, 409, 422, 503)
}


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(AlphamillError, _alphamill)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _answer(status: int, code: str, detail: str, field: str | None = None, remedy: str | None = None) -> JSONResponse:
    problem = Problem(
        type=f"urn:alphamill:error:{code.lower().replace('_', '-')}",
        title=code.replace("_", " ").capitalize(),
        status=status,
        detail=masked_text(detail),
        code=code,
        field=field,
        remedy=remedy,
    )
    return JSONResponse(problem.model_dump(exclude_none=True), status_code=status, media_type=MEDIA_TYPE)


def _unreadable(why: str) -> JSONResponse:
    return _answer(422, "INVALID_INPUT", f"the body is not valid JSON: {why}.", "body", SEND_JSON)


async def _alphamill(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AlphamillError)
    return _answer(error.http_status, error.code, error.message, error.field, error.remedy)


async def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return _unreadable(f"{first['ctx']['error']} at character {first['loc'][-1]}")
    parts = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    field = ".".join(parts) or "body"
    shown = repr(first.get("input"))[:120]
    others = f" ({len(error.errors()) - 1} more)" if len(error.errors()) > 1 else ""
    remedy = SEND_JSON if field == "body" else None
    return _answer(422, "INVALID_INPUT", f"{field}: {first['msg']}, got {shown}.{others}", field, remedy)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 400 and error.__cause__ is not None:  # FastAPI could not even decode the body
        return _unreadable(type(error.__cause__).__name__)
    phrase = HTTPStatus(error.status_code).phrase.upper().replace(" ", "_")
    answer = _answer(error.status_code, phrase, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    answer = _answer(500, "INTERNAL_ERROR", f"{type(error).__name__}; the log of this process has the details.")
    # Answered outside of the middleware that names the others.
    answer.headers[HEADER] = str(get_contextvars().get("request_id", ""))
    return answer
