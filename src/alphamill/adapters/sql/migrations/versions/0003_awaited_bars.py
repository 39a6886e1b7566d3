"""Held symbols whose bar of the session settled last had not come: a split in it must survive a restart."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("portfolios", sa.Column("awaited", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("portfolios") as portfolios:
        portfolios.drop_column("awaited")
