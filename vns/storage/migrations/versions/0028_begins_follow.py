"""Begins of calls are written after the calls have been connected."""

from pathlib import Path

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    connection = op.get_bind().connection.dbapi_connection
    # Many statements in one text: only the driver's own connection takes them, inside the transaction already begun.
    connection.run_async(lambda driver: driver.execute(statements))  # type: ignore[union-attr]  # it is connected
