"""`python -m serving.trader`: the trading loop, and a small HTTP face for health and metrics."""

import uvicorn

from alphamill.bootstrap import wiring
from alphamill.logs import configure
from alphamill.settings import Settings, load_settings
from serving.collector import keep_what_is_there
from serving.trader.app import create_app
from serving.trader.parts import trading_loop


def main() -> None:
    settings = load_settings()
    wiring(settings).join()
    configure(settings, "trader")
    serve(settings)


def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT; logging is set up already."""
    uvicorn.run(
        create_app(lambda: trading_loop(settings), started=keep_what_is_there),
        host=settings.trader_host,
        port=settings.trader_port,
        log_config=None,
        access_log=False,
    )


if __name__ == "__main__":
    main()
