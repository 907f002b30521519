"""fpir that galleries showed"""

import sqlalchemy as sa
from alembic import op

revision = "7a2a525df765"
down_revision = "4f0b7c2e9a61"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gallery_fpir",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("measurement", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_gallery_fpir_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_gallery_fpir")),
    )


def downgrade() -> None:
    op.drop_table("gallery_fpir")
