"""end and legal hold of entries"""

import sqlalchemy as sa
from alembic import op

revision = "b127c6abec7c"
down_revision = "2d06e99706d0"
branch_labels = None
depends_on = None
INDEX = "ix_gallery_entries_expires_at"


def upgrade() -> None:
    op.add_column("gallery_entries", sa.Column("expires_at", sa.Double()))
    op.add_column("gallery_entries", sa.Column("legal_hold", sa.Text()))
    some = sa.text("expires_at IS NOT NULL")
    op.create_index(INDEX, "gallery_entries", ["expires_at"], sqlite_where=some, postgresql_where=some)


def downgrade() -> None:
    op.drop_index(INDEX, "gallery_entries")
    op.drop_column("gallery_entries", "legal_hold")
    op.drop_column("gallery_entries", "expires_at")
