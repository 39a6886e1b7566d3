"""The quantity of an order as the broker has it now: a split restates it."""

import sqlalchemy as sa
from alembic import op

from alphamill.adapters.sql.columns import ExactDecimal

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("current_quantity", ExactDecimal, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("orders") as orders:
        orders.drop_column("current_quantity")
