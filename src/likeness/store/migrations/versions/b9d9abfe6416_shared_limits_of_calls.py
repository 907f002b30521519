"""limits of calls that several servers share"""

import sqlalchemy as sa
from alembic import op

revision = "b9d9abfe6416"
down_revision = "7207ad01384a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "call_limits",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("remaining", sa.Double(), nullable=False),
        sa.Column("noted_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "owner", name=op.f("pk_call_limits")),
    )


def downgrade() -> None:
    op.drop_table("call_limits")
