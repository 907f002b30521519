"""attempts in progress"""

import sqlalchemy as sa
from alembic import op

revision = "7207ad01384a"
down_revision = "9c7d81bc5b41"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("face_sessions", sa.Column("attempt_id", sa.Text(), nullable=True))
    op.add_column("face_sessions", sa.Column("attempt_until", sa.Double(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("face_sessions") as batch:
        batch.drop_column("attempt_until")
        batch.drop_column("attempt_id")
