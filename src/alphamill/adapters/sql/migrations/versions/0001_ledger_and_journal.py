"""Ledger and bar journal."""

import sqlalchemy as sa
from alembic import op

from alphamill.adapters.sql.columns import ExactDecimal, RowNumber, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bar_journal",
        sa.Column("seq", RowNumber, autoincrement=True, nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("ts", UtcDateTime(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("open", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("close", sa.Double(), nullable=False),
        sa.Column("volume", sa.Double(), nullable=False),
        sa.Column("price_factor", sa.Double(), nullable=False),
        sa.Column("split_factor", sa.Double(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("ingested_at", UtcDateTime(), nullable=False),
        sa.Column("merged", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_bar_journal")),
    )
    op.create_index(
        "ix_bar_journal_pending",
        "bar_journal",
        ["symbol", "ts"],
        unique=False,
        sqlite_where=sa.text("NOT merged"),
        postgresql_where=sa.text("NOT merged"),
    )
    op.create_index(op.f("ix_bar_journal_session"), "bar_journal", ["session"], unique=False)
    op.create_table(
        "portfolios",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("state_changed_at", UtcDateTime(), nullable=True),
        sa.Column("cash_usd", ExactDecimal(), nullable=False),
        sa.Column("nav_usd", ExactDecimal(), nullable=False),
        sa.Column("peak_nav_usd", ExactDecimal(), nullable=False),
        sa.Column("last_settled_at", UtcDateTime(), nullable=True),
        sa.Column("last_decision_at", UtcDateTime(), nullable=True),
        sa.Column("last_fill_id", sa.Text(), nullable=True),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_portfolios")),
    )
    op.create_table(
        "decisions",
        sa.Column("seq", RowNumber, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("data_version", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("nav_usd", ExactDecimal(), nullable=False),
        sa.Column("prices", sa.JSON(), nullable=False),
        sa.Column("snapshots", sa.JSON(), nullable=False),
        sa.Column("forecasts", sa.JSON(), nullable=False),
        sa.Column("signals", sa.JSON(), nullable=False),
        sa.Column("weights_before", sa.JSON(), nullable=False),
        sa.Column("target_weights", sa.JSON(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("refusals", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["portfolio"], ["portfolios.name"], name=op.f("fk_decisions_portfolio_portfolios")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_decisions")),
        sa.UniqueConstraint("id", name=op.f("uq_decisions_id")),
    )
    op.create_index(op.f("ix_decisions_portfolio_seq"), "decisions", ["portfolio", "seq"], unique=False)
    op.create_table(
        "nav_history",
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("nav_usd", ExactDecimal(), nullable=False),
        sa.Column("cash_usd", ExactDecimal(), nullable=False),
        sa.ForeignKeyConstraint(["portfolio"], ["portfolios.name"], name=op.f("fk_nav_history_portfolio_portfolios")),
        sa.PrimaryKeyConstraint("portfolio", "at", name=op.f("pk_nav_history")),
    )
    op.create_table(
        "positions",
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("quantity", ExactDecimal(), nullable=False),
        sa.Column("average_price", ExactDecimal(), nullable=False),
        sa.ForeignKeyConstraint(["portfolio"], ["portfolios.name"], name=op.f("fk_positions_portfolio_portfolios")),
        sa.PrimaryKeyConstraint("portfolio", "symbol", name=op.f("pk_positions")),
    )
    op.create_table(
        "state_history",
        sa.Column("seq", RowNumber, autoincrement=True, nullable=False),
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["portfolio"], ["portfolios.name"], name=op.f("fk_state_history_portfolio_portfolios")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_state_history")),
    )
    op.create_index(op.f("ix_state_history_portfolio_seq"), "state_history", ["portfolio", "seq"], unique=False)
    op.create_table(
        "orders",
        sa.Column("seq", RowNumber, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("quantity", ExactDecimal(), nullable=False),
        sa.Column("reference_price", ExactDecimal(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("committed_detail", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("filled_quantity", ExactDecimal(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name=op.f("fk_orders_decision_id_decisions")),
        sa.ForeignKeyConstraint(["portfolio"], ["portfolios.name"], name=op.f("fk_orders_portfolio_portfolios")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_orders")),
        sa.UniqueConstraint("id", name=op.f("uq_orders_id")),
    )
    op.create_index(op.f("ix_orders_decision_id"), "orders", ["decision_id"], unique=False)
    op.create_index(op.f("ix_orders_portfolio_status"), "orders", ["portfolio", "status"], unique=False)
    op.create_table(
        "fills",
        sa.Column("seq", RowNumber, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("quantity", ExactDecimal(), nullable=False),
        sa.Column("price", ExactDecimal(), nullable=False),
        sa.Column("commission_usd", ExactDecimal(), nullable=False),
        sa.Column("filled_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_fills_order_id_orders")),
        sa.ForeignKeyConstraint(["portfolio"], ["portfolios.name"], name=op.f("fk_fills_portfolio_portfolios")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_fills")),
        sa.UniqueConstraint("id", name=op.f("uq_fills_id")),
    )
    op.create_index(op.f("ix_fills_order_id"), "fills", ["order_id"], unique=False)
    op.create_index(op.f("ix_fills_portfolio_seq"), "fills", ["portfolio", "seq"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_fills_portfolio_seq"), table_name="fills")
    op.drop_index(op.f("ix_fills_order_id"), table_name="fills")
    op.drop_table("fills")
    op.drop_index(op.f("ix_orders_portfolio_status"), table_name="orders")
    op.drop_index(op.f("ix_orders_decision_id"), table_name="orders")
    op.drop_table("orders")
    op.drop_index(op.f("ix_state_history_portfolio_seq"), table_name="state_history")
    op.drop_table("state_history")
    op.drop_table("positions")
    op.drop_table("nav_history")
    op.drop_index(op.f("ix_decisions_portfolio_seq"), table_name="decisions")
    op.drop_table("decisions")
    op.drop_table("portfolios")
    op.drop_index(op.f("ix_bar_journal_session"), table_name="bar_journal")
    op.drop_index(
        "ix_bar_journal_pending",
        table_name="bar_journal",
        sqlite_where=sa.text("NOT merged"),
        postgresql_where=sa.text("NOT merged"),
    )
    op.drop_table("bar_journal")
