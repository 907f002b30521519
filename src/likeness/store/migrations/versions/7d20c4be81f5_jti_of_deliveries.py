"""the jti of a delivery's result, by which it can be purged"""

import sqlalchemy as sa
from alembic import op

revision = "7d20c4be81f5"
down_revision = "c4a7e21b93d0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_deliveries", sa.Column("jti", sa.Text(), nullable=True))
    op.create_index(op.f("ix_webhook_deliveries_jti"), "webhook_deliveries", ["jti"])


def downgrade() -> None:
    op.drop_index(op.f("ix_webhook_deliveries_jti"), "webhook_deliveries")
    op.drop_column("webhook_deliveries", "jti")
