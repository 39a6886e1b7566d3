"""`python -m serving.controller`: one uvicorn process, settings from the environment."""

import gc

import uvicorn

from alphamill.bootstrap import wiring
from alphamill.logs import configure
from alphamill.settings import Settings, load_settings
from serving.controller.app import create_app


def main() -> None:
    settings = load_settings()
    wiring(settings).join()
    configure(settings, "controller")
    serve(settings)


def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT; logging is set up already."""
    uvicorn.run(
        create_app(settings, started=keep_what_is_there),
        host=settings.controller_host,
        port=settings.controller_port,
        log_config=None,
        access_log=False,
    )


def keep_what_is_there() -> None:
    """Leave all that the start has loaded out of garbage collections: half a million objects of libraries.

    Each full collection would look at them all, for 100 to 400 ms, and some come between a bar and its orders.
    """
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
