"""Step 8: serve the champion; the version that answered before stays until the new one passed its smoke test."""

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
    parts = begin("deploy", "starting the forecaster", settings)
    name = parts.settings.model_name
    champion = parts.registry().get(name, CHAMPION_ALIAS)
    deployment = parts.model_server().deploy(champion, name)
    finish(parts, "deploy", f"{deployment.model_id} at {deployment.url}")
    return deployment.url
