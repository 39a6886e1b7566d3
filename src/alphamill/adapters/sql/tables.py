"""The relational schema: one MetaData. A change here needs a migration beside it (a test compares the two)."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Date, Double, ForeignKey, Index, MetaData, Table, Text, text

from alphamill.adapters.sql.columns import ExactDecimal, RowNumber, UtcDateTime

#: Explicit names, so that later migrations can drop or alter a constraint on every database.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)

portfolios = Table(
    "portfolios",
    metadata,
    Column("name", Text, primary_key=True),
    Column("spec", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_reason", Text, nullable=False),
    Column("state_changed_at", UtcDateTime),
    Column("cash_usd", ExactDecimal, nullable=False),
    Column("nav_usd", ExactDecimal, nullable=False),
    Column("peak_nav_usd", ExactDecimal, nullable=False),
    Column("last_settled_at", UtcDateTime),
    Column("last_decision_at", UtcDateTime),
    Column("last_fill_id", Text),
    Column("model_version", Text, nullable=False),
    Column("awaited", JSON),
    # Raised by every write of the books; a write names the one it was computed from.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    # Version of the bars table that was settled last; -1 before, and in rows written before it was kept.
    Column("bars_version", BigInteger, nullable=False, server_default="-1"),
)

# `seq` is the order of writing: a restart and a report read decisions, orders and fills as they happened.
decisions = Table(
    "decisions",
    metadata,
    Column("seq", RowNumber, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("portfolio", Text, ForeignKey("portfolios.name"), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("source", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("data_version", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("nav_usd", ExactDecimal, nullable=False),
    Column("prices", JSON, nullable=False),
    Column("snapshots", JSON, nullable=False),
    Column("forecasts", JSON, nullable=False),
    Column("signals", JSON, nullable=False),
    Column("weights_before", JSON, nullable=False),
    Column("target_weights", JSON, nullable=False),
    Column("rules", JSON, nullable=False),
    Column("refusals", JSON, nullable=False),
    Column("target_id", Text, nullable=False, server_default=""),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Index(None, "portfolio", "seq"),
    Index(None, "target_id"),
)

# quantity and `committed_detail` keep the order as it was decided; the last four columns follow the broker.
orders = Table(
    "orders",
    metadata,
    Column("seq", RowNumber, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("decision_id", Text, ForeignKey("decisions.id"), nullable=False),
    Column("portfolio", Text, ForeignKey("portfolios.name"), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    Column("reference_price", ExactDecimal, nullable=False),
    Column("reason", Text, nullable=False),
    Column("committed_detail", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("filled_quantity", ExactDecimal, nullable=False),
    Column("detail", Text, nullable=False),
    # A split restates it. Null until the broker answered: the quantity as decided counts.
    Column("current_quantity", ExactDecimal),
    Index(None, "decision_id"),
    Index(None, "portfolio", "status"),
)

fills = Table(
    "fills",
    metadata,
    Column("seq", RowNumber, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("order_id", Text, ForeignKey("orders.id"), nullable=False),
    Column("portfolio", Text, ForeignKey("portfolios.name"), nullable=False),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    Column("price", ExactDecimal, nullable=False),
    Column("commission_usd", ExactDecimal, nullable=False),
    Column("filled_at", UtcDateTime, nullable=False),
    Index(None, "order_id"),
    Index(None, "portfolio", "seq"),
)

positions = Table(
    "positions",
    metadata,
    Column("portfolio", Text, ForeignKey("portfolios.name"), primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("quantity", ExactDecimal, nullable=False),
    Column("average_price", ExactDecimal, nullable=False),
    # Null in rows written before it was kept: the average price counts.
    Column("extreme_price", ExactDecimal),
)

nav_history = Table(
    "nav_history",
    metadata,
    Column("portfolio", Text, ForeignKey("portfolios.name"), primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("nav_usd", ExactDecimal, nullable=False),
    Column("cash_usd", ExactDecimal, nullable=False),
)

state_history = Table(
    "state_history",
    metadata,
    Column("seq", RowNumber, primary_key=True, autoincrement=True),
    Column("portfolio", Text, ForeignKey("portfolios.name"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "portfolio", "seq"),
)

spec_changes = Table(
    "spec_changes",
    metadata,
    Column("seq", RowNumber, primary_key=True, autoincrement=True),
    Column("portfolio", Text, ForeignKey("portfolios.name"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("difference", JSON, nullable=False),
    Index(None, "portfolio", "seq"),
)

# Cash that moved without a trade: dividends, cash in lieu of parts of a share, payouts of delisted symbols.
cash_entries = Table(
    "cash_entries",
    metadata,
    Column("seq", RowNumber, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("portfolio", Text, ForeignKey("portfolios.name"), nullable=False),
    Column("symbol", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    Column("amount_usd", ExactDecimal, nullable=False),
    Column("detail", Text, nullable=False),
    Index(None, "portfolio", "symbol"),
)

targets = Table(
    "targets",
    metadata,
    Column("seq", RowNumber, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("portfolio", Text, ForeignKey("portfolios.name"), nullable=False),
    Column("weights", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("requested_by", Text, nullable=False),
    Index(None, "portfolio", "seq"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

trading_status = Table(
    "trading_status",
    metadata,
    Column("portfolio", Text, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("holder", Text, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("bars_version", BigInteger, nullable=False),
)

_is_pending = text("NOT merged")

bar_journal = Table(
    "bar_journal",
    metadata,
    Column("seq", RowNumber, primary_key=True, autoincrement=True),
    Column("symbol", Text, nullable=False),
    Column("ts", UtcDateTime, nullable=False),
    Column("session", Date, nullable=False),
    Column("open", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("close", Double, nullable=False),
    Column("volume", Double, nullable=False),
    Column("price_factor", Double, nullable=False),
    Column("split_factor", Double, nullable=False),
    Column("source", Text, nullable=False),
    Column("ingested_at", UtcDateTime, nullable=False),
    Column("merged", Boolean, nullable=False),
    # Merged rows are the many, pending rows the few that every start asks for.
    Index("ix_bar_journal_pending", "symbol", "ts", sqlite_where=_is_pending, postgresql_where=_is_pending),
    Index(None, "session"),
)
