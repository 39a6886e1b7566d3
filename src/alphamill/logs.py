"""One way to log for a whole process: events with their fields, for a person on a terminal, as JSON elsewhere.

``structlog.get_logger(__name__)`` everywhere in our code; what libraries write through `logging` comes out the same
way. Ids of what a line belongs to (`request_id`, `portfolio`, `decision_id`) are bound with `structlog.contextvars`.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import Processor, WrappedLogger

from alphamill.secret_url import masked_text
from alphamill.settings import Settings

#: Loggers that follow the setting; all others speak from WARNING on.
_OURS: Final = ("alphamill", "serving", "uvicorn", "kserve")


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is at that moment: a test or a tool may replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        raise AttributeError("the stream of this handler is sys.stderr")


def configure(settings: Settings, process: str) -> None:
    """Set up logging for this process; called once, by what starts it. Again: the newest call holds.

    Parameters
    ----------
    settings
        `log_level` is used.
    process
        What this process is, in every JSON line: gateway, trader, forecaster, step, cli.
    """

    def name_process(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = process
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    terminal = sys.stderr.isatty()
    rendered: list[Processor] = _for_people() if terminal else [name_process, *_for_machines()]
    handler = _Stderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered, _without_passwords],
        )
    )
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Stderr)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(settings.log_level)


def _for_people() -> list[Processor]:
    # Not structlog's own tracebacks: those show local variables, passwords among them.
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]


def _for_machines() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]


def _without_passwords(_: WrappedLogger, __: str, line: Any) -> Any:
    """The last look at a finished line, whoever wrote it: a library may quote the URL that it was given."""
    return masked_text(line) if "://" in line or "=" in line else line
