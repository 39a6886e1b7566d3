"""The two doors of the stage: a whole batch, and the strict one for bars that somebody waits on."""

import datetime as dt

import polars as pl

from alphamill.domain.bars import BAR_KEY, BAR_SCHEMA, MAX_DIVIDEND_FACTOR, require_schema
from alphamill.domain.calendars import sessions, sessions_around
from alphamill.errors import InvalidBar
from alphamill.validation.corrections import (
    CARRY_FACTOR,
    DROP_REPEATED,
    KEEP_NEWEST,
    REPEATED,
    SUPERSEDED,
    carry_factors,
    set_duplicates_apart,
)
from alphamill.validation.fitness import FitThresholds, unfit_reasons
from alphamill.validation.observations import gaps_of, warnings_of
from alphamill.validation.result import ValidationResult
from alphamill.validation.rules import ROW_RULES, Context, first_broken
from alphamill.validation.splits import splits_of, with_split_factor

_DEFAULT_THRESHOLDS = FitThresholds()


def validate(
    bars: pl.DataFrame, *, calendar: str, now: dt.datetime, thresholds: FitThresholds = _DEFAULT_THRESHOLDS
) -> ValidationResult:
    """Accept, correct by a named rule, or quarantine each row of a batch. Nothing vanishes.

    Parameters
    ----------
    bars
        `BAR_SCHEMA`; values may be null or NaN.
    calendar
        An exchange_calendars code: decides sessions, closes and gaps.
    now
        UTC-aware. A session that closes later is a future bar.
    thresholds
        What makes the batch unfit to trade on.

    Raises
    ------
    InvalidInput
        A column is missing or has another type.
    InvalidConfig
        The calendar is unknown.
    """
    judged = _judged(bars, _context(calendar), now)
    kept, doubled = set_duplicates_apart(judged.filter(pl.col("reason").is_null()))
    rejected = pl.concat([judged.filter(pl.col("reason").is_not_null()), doubled])
    quarantined = rejected.sort("_row").select(*BAR_SCHEMA.names(), "reason")
    mended, carried = carry_factors(kept.select(BAR_SCHEMA.names()), quarantined)
    accepted = with_split_factor(mended)
    gaps = gaps_of(accepted, calendar)
    reasons = unfit_reasons(accepted, quarantined, gaps, thresholds)
    return ValidationResult(
        accepted=accepted,
        quarantined=quarantined,
        corrections={
            KEEP_NEWEST: quarantined.filter(pl.col("reason") == SUPERSEDED).height,
            DROP_REPEATED: quarantined.filter(pl.col("reason") == REPEATED).height,
            CARRY_FACTOR: carried,
        },
        warnings=warnings_of(accepted),
        gaps=gaps,
        splits=splits_of(accepted),
        fit_to_trade=not reasons,
        reasons=reasons,
    )


def check_bars(bars: pl.DataFrame, *, calendar: str, now: dt.datetime) -> pl.DataFrame:
    """The strict door: all rows keep all rules, or the first offence is raised. Takes 1-2 ms.

    Returns
    -------
    pl.DataFrame
        `BAR_SCHEMA` with ``split_factor`` set, in the order of the input.

    Raises
    ------
    InvalidBar
        Names the field, the rule and the value of the first broken bar; two bars of one key; or a price factor
        that no split and no dividend explains, which a batch only warns of.
    InvalidInput, InvalidConfig
        As `validate`.
    """
    context = _context(calendar)
    judged = _judged(bars, context, now)
    if judged["reason"].null_count() < judged.height:
        raise _offence(judged.filter(pl.col("reason").is_not_null()).head(1), context)
    if len(set(judged.select(BAR_KEY).iter_rows())) < judged.height:
        doubled = judged.filter(pl.struct(BAR_KEY).is_duplicated())
        symbol, session = doubled.select("symbol", "session").row(0)
        raise InvalidBar(f"{symbol} {session} is there twice (rule one_bar_per_key).", field="session", rule=SUPERSEDED)
    checked = with_split_factor(judged.select(BAR_SCHEMA.names()))
    if (checked["price_factor"] / checked["split_factor"] > MAX_DIVIDEND_FACTOR).any():
        odd = checked.filter(pl.col("price_factor") / pl.col("split_factor") > MAX_DIVIDEND_FACTOR)
        symbol, session, factor = odd.select("symbol", "session", "price_factor").row(0)
        raise InvalidBar(
            f"bar {symbol} {session}: price_factor is {factor} (rule factor_explained).",
            field="price_factor",
            remedy="Required: a simple split ratio, or under one for a dividend; no dividend raises earlier prices.",
            rule="FACTOR_UNEXPLAINED",
        )
    return checked


def _context(calendar: str) -> Context:
    days = sessions(calendar)["session"]
    return Context(calendar, days[0], days[-1])


def _judged(bars: pl.DataFrame, context: Context, now: dt.datetime) -> pl.DataFrame:
    rows = require_schema(bars, BAR_SCHEMA, "bars")
    closes = sessions_around(context.calendar, rows["session"]).lazy().select("session", _close_ts="close_ts")
    return (
        rows.lazy()
        .with_row_index("_row")
        .join(closes, on="session", how="left", maintain_order="left")
        .with_columns(pl.lit(now).alias("_now"))
        .with_columns(first_broken(context).alias("reason"))
        .collect()
    )


def _offence(bar: pl.DataFrame, context: Context) -> InvalidBar:
    rule = next(rule for rule in ROW_RULES if rule.code == bar["reason"][0])
    field = next(name for name, check in rule.breaks(context).items() if bar.select(check.fill_null(False)).item())
    symbol, session, value = bar["symbol"][0], bar["session"][0], bar[field][0]
    return InvalidBar(
        f"bar {symbol} {session}: {field} is {value} (rule {rule.name}).",
        field=field,
        remedy=f"Required: {rule.demands}.",
        rule=rule.code,
    )
