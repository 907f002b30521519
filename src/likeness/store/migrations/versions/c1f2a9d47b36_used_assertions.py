"""used assertions of clients"""

import sqlalchemy as sa
from alembic import op

revision = "c1f2a9d47b36"
down_revision = "b9d9abfe6416"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "used_assertions",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("ends_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_used_assertions_tenant_id")),
        sa.PrimaryKeyConstraint("client_id", "digest", name=op.f("pk_used_assertions")),
    )
    op.create_index(op.f("ix_used_assertions_tenant_id"), "used_assertions", ["tenant_id"])


def downgrade() -> None:
    op.drop_table("used_assertions")
