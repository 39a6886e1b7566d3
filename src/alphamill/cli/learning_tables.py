"""What `alphamill check learning` shows."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from alphamill.proofs.learning import Confidence, LearningCheck


def recovery_table(checked: "LearningCheck") -> "Table":
    from rich.table import Table

    table = Table(title="What is there, and what was learned")
    table.add_column("signal", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in ("known", "recovered", "band", "t"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for strength, f in checked.strengths:
        band = f"± {(f.high - f.low) / 2:.4f}"
        said = f"[{'green' if f.holds else 'red'}]{f.verdict}[/]"
        table.add_row(f"{strength:.2f}", f.name, f"{f.known:+.4f}", f"{f.recovered:+.4f}", band, f"{f.t:+.1f}", said)
    return table


def confidence_table(checked: "LearningCheck") -> "Table":
    from rich.table import Table

    table = Table(title=f"What forecasts say of themselves, signal {checked.strengths[-1][0]:.2f}")
    table.add_column("std", no_wrap=True)
    for band in checked.model.coverage:
        table.add_column(f"{band.nominal * 100:.0f} % holds", justify="right")
    for name in ("Brier", "base rate"):
        table.add_column(name, justify="right")
    table.add_column("")
    for says in (checked.model, checked.overconfident):
        table.add_row(*_confidence(says))
    return table


def _confidence(says: "Confidence") -> list[str]:
    shares = [f"[{'green' if b.holds else 'red'}]{b.observed * 100:.1f} %[/]" for b in says.coverage]
    better = says.brier <= says.base_rate
    score = f"[{'green' if better else 'red'}]{says.brier:.4f}[/]"
    return [says.name, *shares, score, f"{says.base_rate:.4f}", "honest" if says.honest else "not honest"]


def gate_table(checked: "LearningCheck") -> "Table":
    from rich.table import Table

    table = Table("model", "against", "gate says", "because of", title="The gate, tried")
    for trial in checked.gate:
        said = "accepted" if trial.verdict.accepted else "refused"
        colour = "green" if trial.holds else "red"
        failed = [check.name for check in trial.verdict.failed]
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        against = trial.against if trial.profile == "paper" else f"{trial.against}, for {trial.profile}"
        table.add_row(trial.name, against, f"[{colour}]{said}[/]", f"{failed[0]}{more}" if failed else "")
    return table


def outcome(checked: "LearningCheck") -> str:
    """The verdict in a few lines."""
    noise = checked.shuffled
    largest = max(noise.t, key=abs)
    lines = [
        f"shuffled labels: {noise.beyond} of {len(noise.t)} runs have |t| > 2 (largest {largest:+.1f}), "
        f"chance allows {noise.allowed}: {_word(noise.holds)}",
        f"the spread of the forecasts: {_word(checked.model.honest)}",
        f"a third of that spread is seen to be overconfident: {_word(not checked.overconfident.honest)}",
    ]
    lines.append(
        f"the gate accepts the better model and refuses the others: {_word(all(t.holds for t in checked.gate))}"
    )
    missed = [f"{f.name} at {strength:.2f}" for strength, f in checked.strengths if not f.holds]
    lines.append(
        f"[red]not learned as known[/]: {', '.join(missed)}" if missed else "[green]every known IC lies in its band[/]"
    )
    return "\n".join(lines)


def _word(holds: bool) -> str:
    return "[green]holds[/]" if holds else "[red]does not hold[/]"
