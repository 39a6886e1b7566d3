"""Cash and positions: the one place where fills and corporate actions change them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from alphamill.domain.money import round_average, round_cash, to_decimal
from alphamill.domain.orders import Fill, Position
from alphamill.errors import DataUnfit
from alphamill.execution.corporate_actions import (
    dividend_cash,
    dividend_factor,
    settlement_cash,
    share_ratio,
    split_position,
)


@dataclass(frozen=True, slots=True)
class Account:
    """An immutable book of one portfolio; each change gives a new one.

    Parameters
    ----------
    cash_usd
        In steps of 1e-6; negative only on margin.
    positions
        By symbol; flat ones are absent.
    """

    cash_usd: Decimal
    positions: Mapping[str, Position] = field(default_factory=dict)

    def apply(self, fill: Fill) -> "Account":
        """The book after one fill. Through zero the average price starts again at the fill's price.

        A reversal of a fill that had added to the position takes its price out of the average as well.
        """
        before = self.positions.get(fill.symbol)
        after = _moved(before, fill)
        return self._replace(after, round_cash(self.cash_usd + fill.cash_usd))

    def apply_action(
        self,
        symbol: str,
        price_factor: float | Decimal,
        split_factor: float | Decimal,
        previous_close: float | Decimal,
        share_step: Decimal = Decimal(1),
    ) -> "Account":
        """The book after a split, a dividend or both; see `acted`."""
        return self.acted(symbol, price_factor, split_factor, previous_close, share_step)[0]

    def acted(
        self,
        symbol: str,
        price_factor: float | Decimal,
        split_factor: float | Decimal,
        previous_close: float | Decimal,
        share_step: Decimal = Decimal(1),
    ) -> "tuple[Account, Decimal, Decimal]":
        """The book after a split, a dividend or both, as of the open of the ex-date; its dividend, its cash in lieu.

        Parameters
        ----------
        symbol
            Without a position nothing changes.
        price_factor
            Multiplies earlier prices so that they compare with this bar's: split and dividend together.
        split_factor
            The split's part of it: 0.5 for two new shares per old one.
        previous_close
            Raw close of the symbol's bar before, in old shares.
        share_step
            What a split leaves of less than this is paid out in cash.

        Raises
        ------
        InvalidInput, DataUnfit
            A factor cannot be true; see `corporate_actions`.
        """
        position = self.positions.get(symbol)
        if position is None:
            return self, Decimal(0), Decimal(0)
        close = to_decimal(previous_close)
        dividend = dividend_cash(position, dividend_factor(symbol, price_factor, split_factor), close)
        ratio = share_ratio(split_factor)
        in_lieu = Decimal(0)
        if position.extreme_price is not None:
            # The whole factor: what a split or a dividend does to the price is no move against the position.
            extreme = round_average(position.extreme_price * to_decimal(price_factor))
            position = replace(position, extreme_price=extreme)
        if ratio != 1:
            position, in_lieu = split_position(position, ratio, close, share_step)
        return self._replace(position, self.cash_usd + dividend + in_lieu), dividend, in_lieu

    def settle_in_cash(self, symbol: str, cash_per_share_usd: Decimal) -> "Account":
        """The book after a symbol stopped trading: its position is gone for cash, without commission; a short pays.

        Without a position nothing changes.
        """
        position = self.positions.get(symbol)
        if position is None:
            return self
        paid = settlement_cash(position, cash_per_share_usd)
        return self._replace(replace(position, quantity=Decimal(0)), self.cash_usd + paid)

    def marked(self, prices: Mapping[str, Decimal]) -> "Account":
        """The book after a settled close: each position remembers its most favourable raw close."""
        marked = {s: p.marked(prices[s]) if s in prices else p for s, p in self.positions.items()}
        return Account(self.cash_usd, marked)

    def nav(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Cash plus positions at raw `prices`.

        Raises
        ------
        DataUnfit
            A held symbol has no price.
        """
        try:
            return self.cash_usd + sum((p.quantity * prices[s] for s, p in self.positions.items()), Decimal(0))
        except KeyError as error:
            raise DataUnfit(
                f"{error.args[0]} is held but has no price.", field=str(error.args[0]), remedy="Ingest its bar."
            ) from error

    def _replace(self, position: Position, cash_usd: Decimal) -> "Account":
        positions = {**self.positions, position.symbol: position}
        if not position.quantity:
            del positions[position.symbol]
        return Account(cash_usd, positions)


def _moved(before: Position | None, fill: Fill) -> Position:
    change = fill.side.sign * fill.quantity
    if before is None:
        return Position(fill.symbol, change, fill.price)
    quantity = before.quantity + change
    if before.quantity * change > 0:
        if fill.is_reversal:
            return replace(before, quantity=quantity)
        cost = before.quantity * before.average_price + change * fill.price
        return replace(before, quantity=quantity, average_price=round_average(cost / quantity))
    if fill.is_reversal and quantity * before.quantity > 0:
        average = round_average((before.quantity * before.average_price + change * fill.price) / quantity)
        # Not above zero: so much was sold since that the rest says nothing of what it cost.
        return replace(before, quantity=quantity, average_price=average if average > 0 else before.average_price)
    flipped = quantity * before.quantity < 0
    return Position(fill.symbol, quantity, fill.price) if flipped else replace(before, quantity=quantity)
