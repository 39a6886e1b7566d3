"""A portfolio that asks for what its venue cannot do is refused when it is wired, by the field to change."""

from decimal import Decimal
from typing import Any

import pytest

from alphamill.domain.portfolios import BrokerRef, PortfolioSpec, Sizing, Universe
from alphamill.domain.venues import Capabilities
from alphamill.errors import InvalidConfig
from alphamill.trading.venue import lanes_to

SPEC = PortfolioSpec(name="demo", universe=Universe(symbols=("A",)))
SHORT = SPEC.model_copy(update={"sizing": Sizing(long_only=False)})
PARTS = SPEC.model_copy(update={"broker": BrokerRef(share_step=Decimal("0.5"))})


@pytest.mark.parametrize(
    ("spec", "venue", "field"),
    [
        (SPEC, {"order_types": frozenset({"limit"})}, "broker.kind"),
        (PARTS, {}, "broker.share_step"),
        (PARTS, {"share_step": Decimal("0.3")}, "broker.share_step"),
        (SHORT, {"short": False}, "sizing.long_only"),
    ],
)
def test_what_the_venue_cannot_do_is_named(spec: PortfolioSpec, venue: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        lanes_to(Capabilities("paper", **venue), spec)
    assert refused.value.field == field
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("spec", "venue"),
    [(SPEC, {}), (SPEC, {"short": False}), (SHORT, {}), (PARTS, {"share_step": Decimal("0.001")})],
)
def test_what_it_can_do_passes(spec: PortfolioSpec, venue: dict[str, Any]) -> None:
    lanes = lanes_to(Capabilities("live", **venue), spec)
    assert not lanes.holds("ord_1")
