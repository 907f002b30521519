"""galleries and their packs"""

import sqlalchemy as sa
from alembic import op

revision = "974f95d1dbaa"
down_revision = "e3f0eec89420"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "galleries",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("shadow", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_galleries_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_galleries")),
    )
    op.create_table(
        "reindexes",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("wish", sa.Text(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_reindexes_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_reindexes")),
    )
    op.create_table(
        "reindex_refusals",
        sa.Column("entry_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_key"], ["gallery_entries.key"], name=op.f("fk_reindex_refusals_entry_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entry_key", "pack", name=op.f("pk_reindex_refusals")),
    )
    # Until now a gallery had the one pack of its templates.
    op.execute(
        "INSERT INTO galleries (tenant_id, pack) SELECT DISTINCT gallery_entries.tenant_id, gallery_templates.pack "
        "FROM gallery_entries JOIN gallery_templates ON gallery_templates.entry_key = gallery_entries.key"
    )


def downgrade() -> None:
    op.drop_table("reindex_refusals")
    op.drop_table("reindexes")
    op.drop_table("galleries")
