"""Step 8: serve the champion; the version that answered before stays until the new one passed its smoke test."""

from alphamill.bootstrap import model_registry, model_server
from alphamill.settings import Settings
from alphamill.steps.register_model import CHAMPION_ALIAS
from alphamill.steps.step import begin, finish


def deploy_model(*, settings: Settings | None = None) -> str:
    """Deploy the version with the champion alias.

    Returns
    -------
    URL under which the service answers.

    Raises
    ------
    NotFound
        There is no champion: the gate has accepted no model yet.
    """
    settings = begin("deploy", "starting the forecaster", settings)
    champion = model_registry(settings).get(settings.model_name, CHAMPION_ALIAS)
    deployment = model_server(settings).deploy(champion, settings.model_name)
    finish("deploy", f"{deployment.model_id} at {deployment.url}")
    return deployment.url
