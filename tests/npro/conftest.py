"""The databases of the tables' tests."""

from tests.npro.databases import database, mariadb, npro_mariadb_url, npro_postgres_url, npro_url

__all__ = ["database", "mariadb", "npro_mariadb_url", "npro_postgres_url", "npro_url"]
