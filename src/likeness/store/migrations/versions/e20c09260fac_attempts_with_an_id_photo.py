"""attempts with an ID photo"""

import sqlalchemy as sa
from alembic import op

revision = "e20c09260fac"
down_revision = "8c8defafda11"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "photo_attempts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_photo_attempts_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photo_attempts")),
    )
    for column in ("digest", "opened_at", "tenant_id"):
        op.create_index(op.f(f"ix_photo_attempts_{column}"), "photo_attempts", [column])


def downgrade() -> None:
    op.drop_table("photo_attempts")
