"""What the gate allows a model to trade: nothing, paper, or real money too."""

from typing import Any, Final, Literal

Approval = Literal["none", "paper", "live"]

_ALLOWS: Final[dict[Approval, tuple[str, ...]]] = {"none": (), "paper": ("paper",), "live": ("paper", "live")}


def approval_of(said: Any) -> Approval:
    """What somebody else says of a model; "none" for anything but an approval."""
    return said if isinstance(said, str) and said in _ALLOWS else "none"


def allows(approval: Approval, kind: Literal["paper", "live"]) -> bool:
    """Whether a model of that approval may trade at a venue of that kind."""
    return kind in _ALLOWS[approval]
