"""The gateway's HTTP face. It only wires: routes, problems, and the life of what merges bars."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from alphamill import __version__
from alphamill.settings import Settings
from serving import problems
from serving.gateway import bars, model_versions, operations, portfolios, predictions, targets
from serving.gateway.deps import Parts
from serving.gateway.parts import gateway_parts
from serving.request_ids import RequestIds


def create_app(
    settings: Settings,
    make: Callable[[Settings], Parts] = gateway_parts,
    started: Callable[[], object] = lambda: None,
) -> FastAPI:
    """Build the application; `make` is called when it starts, not before, and `started` once it runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        parts = app.state.parts = make(settings)
        await parts.merging.start()
        started()
        yield
        await parts.merging.stop()
        parts.close()

    app = FastAPIOffline(
        title="Alphamill gateway",
        version=__version__,
        summary="Bars, targets and halts in; orders explained.",
        lifespan=lifespan,
    )
    app.add_middleware(RequestIds)
    problems.install(app)
    for module in (bars, predictions, targets, portfolios, model_versions, operations):
        app.include_router(module.router)
    return app
