"""The trader's HTTP face: is it alive, does it act, how do its portfolios stand, what does it count."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from alphamill import __version__
from alphamill.errors import Unavailable
from alphamill.monitoring import Metrics
from serving import problems
from serving.trader.loop import TradingLoop


def create_app(make: Callable[[], tuple[TradingLoop, Metrics]], started: Callable[[], object]) -> FastAPI:
    """Build the application; `make` is called when it starts, and `started` once the loop runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.loop, app.state.metrics = make()
        await app.state.loop.start()
        started()
        yield
        await app.state.loop.stop()

    app = FastAPI(title="Alphamill trader", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(app)

    @app.get("/healthz", summary="Is the process alive")
    def alive() -> dict[str, str]:
        """Always ok while the process answers; whether it can trade is a question about each portfolio."""
        return {"status": "ok"}

    @app.get("/readyz", summary="Did it start")
    def ready() -> dict[str, Any]:
        """Its first round is over. `acting` says whether it holds the lease; a standby is ready too."""
        loop: TradingLoop = app.state.loop
        if not loop.rounds:
            raise Unavailable("the first round is not over.", remedy="Ask again.")
        return {"status": "ready", "acting": loop.acting}

    @app.get("/metrics", summary="Prometheus metrics", response_class=Response)
    def metrics() -> Response:
        """Text exposition format."""
        return Response(generate_latest(app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app
