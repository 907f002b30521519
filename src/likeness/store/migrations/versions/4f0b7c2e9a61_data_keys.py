"""several data keys of a tenant"""

import sqlalchemy as sa
from alembic import op

revision = "4f0b7c2e9a61"
down_revision = "c1f2a9d47b36"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_data_keys_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "number", name=op.f("pk_data_keys")),
    )
    # Number 0 is the key of values that have no version yet (see likeness.kit.envelope).
    op.execute("INSERT INTO data_keys SELECT id, 0, sealed_data_key, created_at FROM tenants")
    op.drop_column("tenants", "sealed_data_key")


def downgrade() -> None:
    """Keep the oldest key of each tenant. Older versions cannot open what is sealed with a version."""
    op.add_column("tenants", sa.Column("sealed_data_key", sa.LargeBinary(), nullable=False, server_default=""))
    op.execute(
        "UPDATE tenants SET sealed_data_key = (SELECT sealed_key FROM data_keys WHERE tenant_id = tenants.id AND "
        "number = (SELECT MIN(number) FROM data_keys AS keys WHERE keys.tenant_id = tenants.id))"
    )
    op.drop_table("data_keys")
