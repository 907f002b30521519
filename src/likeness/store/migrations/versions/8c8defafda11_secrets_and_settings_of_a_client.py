"""several secrets of a client, and its settings"""

import sqlalchemy as sa
from alembic import op

revision = "8c8defafda11"
down_revision = "e81f04c7d25b"
branch_labels = None
depends_on = None

CLIENTS = sa.table(
    "clients",
    sa.column("id", sa.Text()),
    sa.column("created_at", sa.Double()),
    sa.column("secret_hash", sa.Text()),
    sa.column("secrets", sa.JSON()),
)


def upgrade() -> None:
    op.add_column("clients", sa.Column("secrets", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("clients", sa.Column("settings", sa.JSON(), server_default="{}", nullable=False))
    connection = op.get_bind()
    for row in connection.execute(sa.select(CLIENTS)).all():
        secret = {"id": "first", "fingerprint": row.secret_hash, "created_at": row.created_at, "expires_at": None}
        connection.execute(sa.update(CLIENTS).where(CLIENTS.c.id == row.id).values(secrets=[secret]))
    op.drop_column("clients", "secret_hash")


def downgrade() -> None:
    """Keep the newest secret of each client."""
    op.add_column("clients", sa.Column("secret_hash", sa.Text(), server_default="", nullable=False))
    connection = op.get_bind()
    for row in connection.execute(sa.select(CLIENTS)).all():
        if row.secrets:
            newest = row.secrets[-1]["fingerprint"]
            connection.execute(sa.update(CLIENTS).where(CLIENTS.c.id == row.id).values(secret_hash=newest))
    op.drop_column("clients", "settings")
    op.drop_column("clients", "secrets")
