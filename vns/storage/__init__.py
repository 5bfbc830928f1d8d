"""PostgreSQL: connections, migrations and the journal."""
