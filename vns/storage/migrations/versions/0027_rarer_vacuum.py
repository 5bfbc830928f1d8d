"""Tables that every call writes are analysed and vacuumed when there is much to do, not every minute."""

from pathlib import Path

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    connection = op.get_bind().connection.dbapi_connection
    # Many statements in one text: only the driver's own connection takes them, inside the transaction already begun.
    connection.run_async(lambda driver: driver.execute(statements))  # type: ignore[union-attr]  # it is connected
