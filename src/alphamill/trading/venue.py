"""Whether a portfolio fits the venue it trades at, and how its orders get there."""

from alphamill.domain.portfolios import PortfolioSpec
from alphamill.domain.venues import MARKET, Capabilities
from alphamill.errors import InvalidConfig
from alphamill.execution import Lanes


def lanes_to(venue: Capabilities, spec: PortfolioSpec) -> Lanes:
    """As many lanes, and as fast, as the venue allows.

    Raises
    ------
    InvalidConfig
        The portfolio asks for what the venue cannot do: its step of shares, short sales, or any market order at all.
    """
    step = spec.broker.share_step
    if MARKET not in venue.order_types:
        raise InvalidConfig(
            f"the broker of {spec.name} takes {', '.join(sorted(venue.order_types))}, no market orders.",
            field="broker.kind",
            remedy="Name another broker.",
        )
    if step % venue.share_step:
        raise InvalidConfig(
            f"{spec.name} trades steps of {step:f} shares, its broker steps of {venue.share_step:f}.",
            field="broker.share_step",
            remedy=f"Choose a multiple of {venue.share_step:f}.",
        )
    if not spec.sizing.long_only and not venue.short:
        raise InvalidConfig(
            f"{spec.name} may sell short, its broker does not.", field="sizing.long_only", remedy="Set it to true."
        )
    return Lanes.to(venue)
