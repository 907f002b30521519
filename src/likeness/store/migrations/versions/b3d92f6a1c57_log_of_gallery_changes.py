"""the log of the galleries' changes"""

import sqlalchemy as sa
from alembic import op

revision = "b3d92f6a1c57"
down_revision = "7d20c4be81f5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("galleries", sa.Column("number", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "gallery_changes",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entry_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("pack", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["galleries.tenant_id"], name=op.f("fk_gallery_changes_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "number", name=op.f("pk_gallery_changes")),
    )


def downgrade() -> None:
    op.drop_table("gallery_changes")
    op.drop_column("galleries", "number")
