"""`python -m serving.gateway`: one uvicorn process, settings from the environment."""

import uvicorn

from alphamill.bootstrap import wiring
from alphamill.logs import configure
from alphamill.settings import Settings, load_settings
from serving.collector import keep_what_is_there
from serving.gateway.app import create_app


def main() -> None:
    settings = load_settings()
    wiring(settings).join()
    configure(settings, "gateway")
    serve(settings)


def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT; logging is set up already."""
    uvicorn.run(
        create_app(settings, started=keep_what_is_there),
        host=settings.gateway_host,
        port=settings.gateway_port,
        log_config=None,
        access_log=False,
    )


if __name__ == "__main__":
    main()
