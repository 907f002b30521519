"""results and webhooks"""

import sqlalchemy as sa
from alembic import op

revision = "e3f0eec89420"
down_revision = "985708885580"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session_results",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("sealed_jws", sa.LargeBinary(), nullable=True),
        sa.Column("image_id", sa.Text(), nullable=True),
        sa.Column("sealed_image", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("image_expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_session_results_tenant_id")),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_results")),
        sa.UniqueConstraint("image_id", name=op.f("uq_session_results_image_id")),
        sa.UniqueConstraint("jti", name=op.f("uq_session_results_jti")),
    )
    with op.batch_alter_table("session_results", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_session_results_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_session_results_image_expires_at"), ["image_expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_session_results_tenant_id"), ["tenant_id"], unique=False)

    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("sealed_claims", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.Double(), nullable=True),
        sa.Column("give_up_at", sa.Double(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("delivered_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhook_deliveries_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhook_deliveries_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_webhook_deliveries_next_try_at"), ["next_try_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_webhook_deliveries_session_id"), ["session_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_webhook_deliveries_tenant_id"), ["tenant_id"], unique=False)

    op.create_table(
        "webhooks",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("sealed_target", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhooks_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_webhooks")),
    )
    # Sessions live for minutes. Old ones lack the columns that are now required, so they are deleted.
    op.execute("DELETE FROM face_sessions")
    with op.batch_alter_table("face_sessions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("failures", sa.JSON(), nullable=False))
        batch_op.add_column(sa.Column("device_digest", sa.Text(), nullable=True))
        batch_op.alter_column("sealed_template", existing_type=sa.LargeBinary(), nullable=True)
        batch_op.drop_column("image_id")
        batch_op.drop_column("attempts")


def downgrade() -> None:
    op.execute("DELETE FROM face_sessions")
    with op.batch_alter_table("face_sessions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("attempts", sa.Integer(), nullable=False))
        batch_op.add_column(sa.Column("image_id", sa.Text(), nullable=True))
        batch_op.alter_column("sealed_template", existing_type=sa.LargeBinary(), nullable=False)
        batch_op.drop_column("device_digest")
        batch_op.drop_column("failures")

    op.drop_table("webhooks")
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_webhook_deliveries_tenant_id"))
        batch_op.drop_index(batch_op.f("ix_webhook_deliveries_session_id"))
        batch_op.drop_index(batch_op.f("ix_webhook_deliveries_next_try_at"))
        batch_op.drop_index(batch_op.f("ix_webhook_deliveries_created_at"))

    op.drop_table("webhook_deliveries")
    with op.batch_alter_table("session_results", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_session_results_tenant_id"))
        batch_op.drop_index(batch_op.f("ix_session_results_image_expires_at"))
        batch_op.drop_index(batch_op.f("ix_session_results_expires_at"))

    op.drop_table("session_results")
