"""The numbers of the gate's rule."""

from pydantic import BaseModel, ConfigDict, Field


class Thresholds(BaseModel):
    """What the gate demands. RankIC, accuracy, shares and probabilities are fractions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_days: int = Field(default=126, ge=10, description="Days with a RankIC; half a year of sessions.")
    max_rank_ic: float = Field(default=0.25, gt=0, le=1, description="A higher mean daily RankIC is a suspected leak.")
    max_accuracy: float = Field(default=0.65, gt=0.5, le=1, description="More signs right is a suspected leak.")
    coverage_tolerance: float = Field(
        default=0.2, gt=0, lt=0.5, description="Observed coverage of each interval may differ by so much."
    )
    max_worse_t: float = Field(
        default=1.645, gt=0, description="One-sided 5 %: worse than the champion by more is significant."
    )
    min_common_days_share: float = Field(
        default=0.8, gt=0, le=1, description="Part of the challenger's days the champion must share."
    )
    live_min_t: float = Field(default=2.0, ge=0)
    live_min_deflated_sharpe: float = Field(default=0.95, ge=0, lt=1)
