"""Step 7: the gate decides; the model is registered with its card either way, the winner gets the alias."""

from pathlib import Path

from alphamill.domain.models import ModelCard
from alphamill.evaluation.gate import Gate
from alphamill.evaluation.summary import EvaluationSummary
from alphamill.settings import Settings
from alphamill.steps.run_folder import CHAMPION_SUMMARY, MODEL_ID, VERDICT
from alphamill.steps.step import begin, finish

CHAMPION_ALIAS = "champion"


def register_model(model_dir: str, summary_path: str, *, settings: Settings | None = None) -> tuple[str, bool]:
    """Judge, register, and move the alias if the challenger was accepted.

    Returns
    -------
    Id of the registered version, and whether it is the champion now.
    """
    parts = begin("register", "judging", settings)
    folder = Path(summary_path).parent
    summary = EvaluationSummary.model_validate_json(Path(summary_path).read_text())
    champion = folder / CHAMPION_SUMMARY
    facing = EvaluationSummary.model_validate_json(champion.read_text()) if champion.exists() else None
    verdict = Gate("paper").judge(summary, facing)
    (folder / VERDICT).write_text(verdict.model_dump_json(indent=2))
    card = ModelCard.model_validate_json((Path(model_dir) / "card.json").read_text())
    judged = card.model_copy(update={"metrics": summary.metrics(), "approved_for": verdict.approved_for})
    registry = parts.registry()
    version = registry.register(Path(model_dir), judged)
    if verdict.accepted:
        registry.set_alias(version, CHAMPION_ALIAS)
    (folder / MODEL_ID).write_text(version.id)
    finish(parts, "register", f"{version.id}: {'champion' if verdict.accepted else 'refused'}")
    return version.id, verdict.accepted
