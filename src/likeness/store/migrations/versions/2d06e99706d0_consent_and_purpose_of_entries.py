"""consent and purpose of entries"""

import sqlalchemy as sa
from alembic import op

revision = "2d06e99706d0"
down_revision = "4d08667790f5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gallery_entries", sa.Column("consent_reference", sa.Text()))
    op.add_column("gallery_entries", sa.Column("purpose", sa.Text()))


def downgrade() -> None:
    op.drop_column("gallery_entries", "purpose")
    op.drop_column("gallery_entries", "consent_reference")
