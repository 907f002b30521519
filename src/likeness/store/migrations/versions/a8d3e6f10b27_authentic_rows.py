"""MACs of rows, the register of clients and the rolls of galleries

The rows get their MACs when a deployment is opened, because that needs its key.
"""

import sqlalchemy as sa
from alembic import op

revision = "a8d3e6f10b27"
down_revision = "4aa6b9b4957a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("tenants", "clients", "gallery_entries", "face_sessions"):
        op.add_column(table, sa.Column("mac", sa.LargeBinary()))
    op.add_column("tenants", sa.Column("register", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("tenants", sa.Column("changed_at", sa.Double()))
    op.add_column("galleries", sa.Column("sealed_roll", sa.LargeBinary()))


def downgrade() -> None:
    op.drop_column("galleries", "sealed_roll")
    op.drop_column("tenants", "changed_at")
    op.drop_column("tenants", "register")
    for table in ("tenants", "clients", "gallery_entries", "face_sessions"):
        op.drop_column(table, "mac")
