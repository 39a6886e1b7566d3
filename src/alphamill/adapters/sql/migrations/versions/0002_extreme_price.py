"""The most favourable close of a position, for the trailing stop."""

import sqlalchemy as sa
from alembic import op

from alphamill.adapters.sql.columns import ExactDecimal

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("positions", sa.Column("extreme_price", ExactDecimal, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("positions") as positions:
        positions.drop_column("extreme_price")
