"""photo deletions and ages of answers"""

import sqlalchemy as sa
from alembic import op

revision = "c4a7e21b93d0"
down_revision = "5b1f0c6d27e9"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "photo_deletions",
        sa.Column("image_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_photo_deletions_tenant_id")),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_photo_deletions")),
    )
    with op.batch_alter_table("photo_deletions") as table:
        table.create_index(op.f("ix_photo_deletions_tenant_id"), ["tenant_id"])
    # The digest of an occasion equals its key. The digest of a call has 64 hexadecimal digits.
    op.execute(
        "UPDATE idempotency_keys SET key = CASE WHEN request_digest = key THEN 'occasion ' ELSE 'call ' END || key"
    )
    with op.batch_alter_table("idempotency_keys") as table:
        table.add_column(sa.Column("served_hour", sa.Integer(), nullable=False, server_default="0"))
        table.drop_column("created_at")
    with op.batch_alter_table("idempotency_keys") as table:
        table.alter_column("served_hour", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("idempotency_keys") as table:
        table.add_column(sa.Column("created_at", sa.Double(), nullable=False, server_default="0"))
        table.drop_column("served_hour")
    op.execute("UPDATE idempotency_keys SET key = SUBSTR(key, CASE WHEN key LIKE 'call %' THEN 6 ELSE 10 END)")
    op.drop_table("photo_deletions")
