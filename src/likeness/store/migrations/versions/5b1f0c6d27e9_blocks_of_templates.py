"""blocks of templates"""

import sqlalchemy as sa
from alembic import op

revision = "5b1f0c6d27e9"
down_revision = "974f95d1dbaa"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gallery_blocks",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("span", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sealed_block", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_gallery_blocks_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "pack", "span", name=op.f("pk_gallery_blocks")),
    )


def downgrade() -> None:
    op.drop_table("gallery_blocks")
