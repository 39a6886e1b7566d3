"""Revisions of the books, the lease, targets, spec changes, cash that moved without a trade, what the trader says."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from alphamill.adapters.sql.columns import ExactDecimal, RowNumber, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("portfolios", sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("portfolios", sa.Column("bars_version", sa.BigInteger(), nullable=False, server_default="-1"))
    op.add_column("decisions", sa.Column("target_id", sa.Text(), nullable=False, server_default=""))
    op.add_column("decisions", sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_decisions_target_id", "decisions", ["target_id"])
    _numbered("spec_changes", sa.Column("at", UtcDateTime(), nullable=False), _filled("difference", sa.JSON()))
    op.create_index("ix_spec_changes_portfolio_seq", "spec_changes", ["portfolio", "seq"])
    _numbered(
        "cash_entries",
        _filled("id", sa.Text()),
        _filled("symbol", sa.Text()),
        _filled("kind", sa.Text()),
        _filled("at", UtcDateTime()),
        _filled("quantity", ExactDecimal()),
        _filled("amount_usd", ExactDecimal()),
        _filled("detail", sa.Text()),
        sa.UniqueConstraint("id", name="uq_cash_entries_id"),
    )
    op.create_index("ix_cash_entries_portfolio_symbol", "cash_entries", ["portfolio", "symbol"])
    _numbered(
        "targets",
        _filled("id", sa.Text()),
        _filled("weights", sa.JSON()),
        _filled("at", UtcDateTime()),
        _filled("requested_by", sa.Text()),
        sa.UniqueConstraint("id", name="uq_targets_id"),
    )
    op.create_index("ix_targets_portfolio_seq", "targets", ["portfolio", "seq"])
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        _filled("holder", sa.Text()),
        _filled("token", sa.BigInteger()),
        _filled("expires_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "trading_status",
        sa.Column("portfolio", sa.Text(), nullable=False),
        _filled("at", UtcDateTime()),
        _filled("holder", sa.Text()),
        _filled("reasons", sa.JSON()),
        _filled("bars_version", sa.BigInteger()),
        sa.PrimaryKeyConstraint("portfolio", name="pk_trading_status"),
    )


def downgrade() -> None:
    for table in ("trading_status", "leases", "targets", "cash_entries", "spec_changes"):
        op.drop_table(table)
    op.drop_index("ix_decisions_target_id", "decisions")
    for table, columns in (("decisions", ("target_id", "revision")), ("portfolios", ("revision", "bars_version"))):
        with op.batch_alter_table(table) as altered:
            for column in columns:
                altered.drop_column(column)


def _filled(name: str, kind: "sa.types.TypeEngine[Any]") -> "sa.Column[Any]":
    return sa.Column(name, kind, nullable=False)


def _numbered(table: str, *columns: "sa.schema.SchemaItem") -> None:
    """A table of a portfolio's rows, numbered in the order of writing."""
    op.create_table(
        table,
        sa.Column("seq", RowNumber, autoincrement=True, nullable=False),
        sa.Column("portfolio", sa.Text(), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("seq", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["portfolio"], ["portfolios.name"], name=f"fk_{table}_portfolio_portfolios"),
    )
