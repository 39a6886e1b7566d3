"""The parts of the embedded runtime: one machine, no containers; what must run is a child process of this runtime."""

from functools import partial
from typing import TYPE_CHECKING

from alphamill import environment
from alphamill.domain.calendars import session_open
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.ports import ModelServer, Pipelines, Search
from alphamill.runtimes.stores import Stores
from alphamill.settings import Settings

if TYPE_CHECKING:
    from alphamill.adapters.brokers.paper.broker import PaperBroker
    from alphamill.adapters.kserve.v2 import V2Forecaster


class EmbeddedWiring(Stores):
    """`ports.Wiring` on this machine. Its state is below `settings.home`, unless a URL says otherwise."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, artifact_root=str(settings.home.resolve() / "mlflow"))

    def search(self) -> Search:
        from alphamill.adapters.ray.tune import RaySearch

        return RaySearch(self.tracking())

    def model_server(self) -> ModelServer:
        from alphamill.runtimes.embedded.model_server import LocalModelServer

        return LocalModelServer(self.registry(), self.settings.home.resolve(), self.clock())

    def forecaster(self, service: str) -> "V2Forecaster":
        from alphamill.runtimes.embedded.deployments import deployed_url

        return self.asks(partial(deployed_url, self.settings.home.resolve(), service), service)

    def broker(self, spec: PortfolioSpec) -> "PaperBroker":
        from alphamill.adapters.brokers.paper.broker import PaperBroker
        from alphamill.adapters.brokers.paper.store import SqlPaperStore

        books = SqlPaperStore(f"sqlite:///{self.settings.home.resolve() / f'paper_broker_{spec.name}.db'}")
        return PaperBroker(
            spec.broker,
            initial_cash={spec.name: spec.initial_cash_usd},
            store=books,
            session_open=partial(session_open, spec.universe.calendar),
            delistings=spec.universe.delistings,
        )

    def pipelines(self) -> Pipelines:
        from alphamill.adapters.kfp.local import LocalPipelines

        return LocalPipelines(self.settings.home, self.clock(), environment.child_environment(self.settings))

    def join(self) -> None:
        """Processes that no guard started, pipeline steps for instance, watch the runtime by themselves."""
        from alphamill.runtimes.embedded.watch import exit_with_runtime

        exit_with_runtime()
