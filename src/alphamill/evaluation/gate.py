"""The promotion gate: what a model must show before it may trade. The rule, in order:

1. Integrity, for anything: all numbers finite; enough days; trials counted; forecasts that rank the names; no value
   behind them that changes when later bars are left out (a proved leak); nothing too good to be true (a suspected
   one); predicted intervals that hold roughly what they promise.
2. Against a champion, both measured on the same data version and horizon, on the days they share: neither
   RankIC nor likelihood significantly worse (paired t, one-sided 5 %), and not both worse on average.
3. For live money also: t of RankIC above 2, deflated Sharpe above 0.95, a Sharpe ratio after costs above the best
   baseline's.

An intact first model is good enough to trade on paper, and only there. Live approval needs all three parts.
"""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from alphamill.domain.approval import Approval
from alphamill.evaluation.checks import GateCheck, integrity_checks, live_checks
from alphamill.evaluation.paired import champion_checks
from alphamill.evaluation.records import Record
from alphamill.evaluation.summary import EvaluationSummary
from alphamill.evaluation.thresholds import Thresholds

Profile = Literal["paper", "live"]


class GateVerdict(Record):
    """`accepted` says whether all required checks passed; `approved_for` is then the profile, else "none"."""

    accepted: bool
    profile: Profile
    approved_for: Approval
    compared_with_champion: bool
    checks: tuple[GateCheck, ...]
    summary: str = Field(description="The verdict in one or two plain sentences.")

    @property
    def failed(self) -> tuple[GateCheck, ...]:
        """Required checks that failed."""
        return tuple(check for check in self.checks if check.required and not check.passed)


@dataclass(frozen=True, slots=True)
class Gate:
    """Judges models by one stated rule.

    Parameters
    ----------
    profile
        "paper" or "live": what an accepted model is approved for. Under "paper" the checks for live money
        are still made and shown, but not required.
    """

    profile: Profile = "paper"
    thresholds: Thresholds = field(default_factory=Thresholds)

    def judge(self, challenger: EvaluationSummary, champion: EvaluationSummary | None) -> GateVerdict:
        """Judge a challenger, against the champion re-evaluated on the same data if there is one.

        Never raises for a bad model: a refusal is a verdict, with a sentence for each check.
        """
        required = list(integrity_checks(challenger, self.thresholds))
        if champion is not None:
            required += champion_checks(challenger, champion, self.thresholds)
        live = live_checks(challenger, self.thresholds)
        checks = (*required, *(check.model_copy(update={"required": self.profile == "live"}) for check in live))
        accepted = all(check.passed for check in checks if check.required)
        return GateVerdict(
            accepted=accepted,
            profile=self.profile,
            approved_for=self.profile if accepted else "none",
            compared_with_champion=champion is not None,
            checks=checks,
            summary=self._sentence(challenger, checks, against=champion is not None),
        )

    def _sentence(self, challenger: EvaluationSummary, checks: tuple[GateCheck, ...], *, against: bool) -> str:
        failed = [check for check in checks if check.required and not check.passed]
        if failed:
            more = f" ({len(failed) - 1} more checks failed)" if len(failed) > 1 else ""
            return f"Refused for {self.profile} trading: {failed[0].sentence}{more}"
        over = "It is not worse than the champion." if against else "There was no champion to compare it with."
        if self.profile == "live":
            return f"{challenger.model_name} is approved for live trading. {over}"
        missing = [check.name for check in checks if not check.passed]
        limit = f" It would not pass for live money: {', '.join(missing)}." if missing else ""
        return f"{challenger.model_name} is approved for paper trading only. {over}{limit}"
