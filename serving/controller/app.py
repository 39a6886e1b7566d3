"""The controller's HTTP face. It only wires: routes, problems, and the engine's life."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from alphamill import __version__
from alphamill.bootstrap import ControllerParts, controller_parts, wiring
from alphamill.ports import Wiring
from alphamill.settings import Settings
from serving.controller import data, model, operations, portfolio, predict, problems
from serving.controller.deps import Parts
from serving.controller.engine import Engine
from serving.controller.request_ids import RequestIds


def create_app(
    settings: Settings,
    make: Callable[[Wiring], ControllerParts] = controller_parts,
    started: Callable[[], object] = lambda: None,
) -> FastAPI:
    """Build the application; `make` is called when it starts, not before, and `started` once it has recovered."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        made = make(wiring(settings))
        engine = Engine(made.door, made.trader, made.bus, made.metrics)
        app.state.parts = Parts(
            settings=settings,
            door=made.door,
            trader=made.trader,
            engine=engine,
            ledger=made.ledger,
            features=made.features,
            forecaster=made.forecaster,
            registry=made.registry,
            model_server=made.model_server,
            metrics=made.metrics,
        )
        await engine.start()
        started()
        yield
        await engine.stop()
        made.close()

    app = FastAPIOffline(
        title="Alphamill controller",
        version=__version__,
        summary="Bars in, decisions and orders out; every order explained.",
        lifespan=lifespan,
    )
    app.add_middleware(RequestIds)
    problems.install(app)
    for module in (data, predict, portfolio, model, operations):
        app.include_router(module.router)
    return app
