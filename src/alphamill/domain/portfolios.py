"""The `Portfolio` spec: one schema for examples/portfolio.yaml, the ledger and the custom resource."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from alphamill.domain.bars import SYMBOL
from alphamill.errors import InvalidConfig, InvalidInput, NotFound

_REMEDY = "docs/settings.md lists the fields; examples/portfolio.yaml is a whole file."


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Delisting(_Frozen):
    """How a symbol stops trading. After `last_session` a position is paid out, a short one pays, without commission."""

    last_session: dt.date = Field(description="The last day it trades.")
    cash_per_share_usd: Decimal | None = Field(default=None, ge=0, description="null: its last raw close.")


class Universe(_Frozen):
    symbols: tuple[Annotated[str, Field(pattern=SYMBOL)], ...] = Field(min_length=1, description="What may be traded.")
    calendar: str = Field(default="XNYS", description="An exchange_calendars code.")
    delistings: dict[Annotated[str, Field(pattern=SYMBOL)], Delisting] = Field(
        default={},
        description="By symbol: last_session (date) and cash_per_share_usd (null: the last close). A position is paid "
        "out in the first session after it.",
    )

    @model_validator(mode="after")
    def _unique(self) -> "Universe":
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("symbols must be unique")
        if unknown := sorted(set(self.delistings) - set(self.symbols)):
            raise ValueError(f"delistings names {', '.join(unknown)}, which is not among the symbols")
        return self

    def trading(self, session: dt.date) -> frozenset[str]:
        """Symbols that are not delisted by then."""
        gone = {symbol for symbol, delisting in self.delistings.items() if session > delisting.last_session}
        return frozenset(self.symbols) - gone


class ModelRef(_Frozen):
    service: str = Field(default="forecaster", description="Name of the inference service that is asked.")
    horizon_bars: int = Field(default=5, gt=0, description="Must equal the horizon the model was trained for.")
    version: str | None = Field(
        default=None,
        min_length=1,
        description='The version in the registry that must answer, such as "3"; null: whichever is deployed.',
    )


class Schedule(_Frozen):
    every_bars: int = Field(default=1, gt=0, description="Decide at every n-th closed bar; exit rules run at all.")
    grace_secs: int = Field(
        default=900, ge=0, description="After the close, wait so long for late symbols before deciding without them."
    )


class Sizing(_Frozen):
    method: Literal["mean_variance", "equal_weight", "top_k"] = Field(
        default="mean_variance", description="How forecasts become target weights."
    )
    max_weight: float = Field(default=0.4, gt=0, le=1, description="Largest target of one symbol, fraction of NAV.")
    gross_limit: float = Field(default=1.0, gt=0, le=4, description="Largest sum of absolute targets.")
    long_only: bool = Field(default=True, description="True: no short targets.")
    risk_aversion: float = Field(default=5.0, gt=0, description="Gamma in mu'w - gamma/2 w'Sw, per horizon.")
    turnover_penalty_bps: float = Field(
        default=10.0, ge=0, description="Cost charged in the objective per unit of turnover."
    )
    signal_threshold_bps: float = Field(default=5.0, ge=0, description="A smaller |mean| is a hold.")
    covariance_bars: int = Field(default=126, ge=20, description="Daily returns behind the correlation matrix.")
    cash_buffer_pct: float = Field(
        default=1.0, ge=0, lt=100, description="Part of NAV never allocated, for gaps and costs."
    )
    min_order_usd: Decimal = Field(default=Decimal(100), ge=0, description="Smaller differences are not traded.")
    top_k: int = Field(default=3, gt=0, description="Names held by method top_k.")


class RiskLimits(_Frozen):
    max_drawdown_pct: float = Field(
        default=25.0, gt=0, le=100, description="From the peak NAV; a breach turns the portfolio REDUCING."
    )
    drawdown_pause_days: int | None = Field(
        default=None,
        gt=0,
        description="REDUCING by drawdown ends after so many days, the peak counted anew; null: a person resumes.",
    )
    stop_loss_pct: float = Field(
        default=20.0, gt=0, le=100, description="A close so much worse than the average price closes the position."
    )
    take_profit_pct: float | None = Field(
        default=None,
        gt=0,
        description="A close so much better than the average price closes the position; null: no take-profit.",
    )
    trailing_stop_pct: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="A close so much worse than the best close since the entry closes the position; null: none.",
    )
    max_order_notional_usd: Decimal = Field(
        default=Decimal(100_000), gt=0, description="A larger order is denied; one that reduces is cut."
    )
    max_turnover_pct: float = Field(default=200.0, gt=0, description="Of NAV, per decision.")
    max_volume_pct: float = Field(default=5.0, gt=0, le=100, description="Of the bar's volume, per order.")
    own_rules: tuple[str, ...] = Field(
        default=(), description="Rules of your own, registered by an extension; they run before the built-in ones."
    )
    max_feature_age_secs: int = Field(default=3600, gt=0, description="Older features are refused at decision time.")


class BrokerRef(_Frozen):
    kind: Literal["paper"] = Field(default="paper", description="Which broker executes.")
    commission_bps: float = Field(default=5.0, ge=0, lt=10_000, description="Of the notional, per fill.")
    commission_usd_per_share: Decimal = Field(
        default=Decimal(0), ge=0, le=1000, description="Per share, on top of the bps."
    )
    commission_min_usd: Decimal = Field(
        default=Decimal(0), ge=0, le=100_000, description="A fill whose commission comes to less pays this instead."
    )
    slippage_bps: float = Field(default=2.0, ge=0, lt=10_000, description="Of the open, against the trader.")
    slippage_usd_per_share: Decimal = Field(
        default=Decimal(0), ge=0, le=1000, description="Against the trader, on top of the bps."
    )
    share_step: Decimal = Field(
        default=Decimal(1),
        ge=Decimal("0.000001"),
        le=1,
        description="Smallest quantity traded; must divide one share: 1, 0.5, 0.1, 0.001 ... 0.000001.",
    )
    max_participation_pct: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Of the bar's volume, per symbol and session, is the most that fills; the rest of an order waits "
        "for the next open. null: no cap.",
    )
    margin: bool = Field(default=False, description="False: a buy never spends more than the cash at hand.")

    @field_validator("share_step")
    @classmethod
    def _divides_one_share(cls, value: Decimal) -> Decimal:
        if 1 % value:
            raise ValueError("one share must be a whole number of steps, such as 1, 0.5, 0.1 or 0.001")
        return value.normalize()


class PortfolioSpec(_Frozen):
    """What one portfolio trades, how it is sized, and what stops it."""

    name: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", description="Its name in the ledger; the books stay with it."
    )
    initial_cash_usd: Decimal = Field(default=Decimal(100_000), gt=0, description="Cash when the ledger first sees it.")
    universe: Universe
    model: ModelRef = ModelRef()
    schedule: Schedule = Schedule()
    sizing: Sizing = Sizing()
    risk: RiskLimits = RiskLimits()
    broker: BrokerRef = BrokerRef()


class _Yaml(yaml.SafeLoader):
    """A key that stands twice in one mapping is an error: the last would win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if doubled := sorted({key for key in keys if keys.count(key) > 1}):
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {doubled[0]!r} stands there twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def parse_portfolio(document: dict[str, Any]) -> PortfolioSpec:
    """Read a Portfolio document (apiVersion, kind, metadata.name, spec).

    Raises
    ------
    InvalidConfig
        Names the first offending field and what is wrong with it.
    """
    if document.get("kind") != "Portfolio" or document.get("apiVersion") != "alphamill.dev/v1alpha1":
        raise InvalidConfig(
            f"not a Portfolio: apiVersion {document.get('apiVersion')!r}, kind {document.get('kind')!r}.",
            field="kind",
            remedy="Start the file as examples/portfolio.yaml does.",
        )
    for part in ("metadata", "spec"):
        if not isinstance(document.get(part), dict):
            raise InvalidConfig(f"{part} is no mapping (got {document.get(part)!r}).", field=part, remedy=_REMEDY)
    try:
        return PortfolioSpec.model_validate({**document["spec"], "name": document["metadata"].get("name")})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"{where}: {first['msg']} (got {first['input']!r})."
        raise InvalidConfig(message, field=where, remedy=_REMEDY) from error


def load_portfolio(path: Path) -> PortfolioSpec:
    """Read one Portfolio YAML file; errors as `parse_portfolio`, naming the file, and for an unreadable one."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Yaml)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidConfig(f"{path} cannot be read: {error}.", field=str(path), remedy=_REMEDY) from error
    if not isinstance(document, dict):
        raise InvalidConfig(f"{path} holds no mapping.", field=str(path), remedy=_REMEDY)
    try:
        return parse_portfolio(document)
    except InvalidConfig as error:
        raise InvalidConfig(f"{path}: {error.message}", field=error.field, remedy=error.remedy) from error


def the_only_one(names: Sequence[str]) -> str:
    """The portfolio that is meant when nobody says which.

    Raises
    ------
    InvalidInput
        There are several: lists them.
    NotFound
        There is none.
    """
    if not names:
        raise NotFound("no portfolio is traded.", field="portfolio", remedy="Start a trader; it registers its own.")
    if len(names) > 1:
        raise InvalidInput(
            f"{len(names)} portfolios are traded: {', '.join(names)}.",
            field="portfolio",
            remedy="Say which one is meant.",
        )
    return names[0]
