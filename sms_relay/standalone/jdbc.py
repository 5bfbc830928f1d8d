"""JDBC URLs, as customers' files have them, as URLs of SQLAlchemy. Pure."""

import re
from typing import Final

from sqlalchemy import URL

from sms_relay.standalone.errors import ConfRefused, Refusal

_SERVED: Final = {"mysql": "mysql", "mariadb": "mysql", "postgresql": "postgresql"}
_COMPILED: Final = {"oracle": "oracle", "mssql": "mssql", "sqlserver": "mssql", "tibero": "oracle"}
_NEVER: Final = ("sybase", "db2", "informix", "cubrid")
_PORTS: Final = {"mysql": 3306, "postgresql": 5432, "oracle": 1521, "mssql": 1433, "tibero": 8629}

_ORDINARY = re.compile(
    r"jdbc:(?P<kind>mysql|mariadb|postgresql)://(?P<host>\[[^\]]+\]|[^:/?,]+)(:(?P<port>\d+))?/(?P<name>[^?]+)(\?.*)?"
)
_SERVER = re.compile(r"jdbc:(?:jtds:)?sqlserver://(?P<host>[^:;/]+)(:(?P<port>\d+))?(?P<rest>[/;].*)?")
_THIN = re.compile(
    r"jdbc:(?P<kind>oracle|tibero):thin:@(//)?(?P<host>[^:/]+):(?P<port>\d+)(?P<separator>[:/])(?P<name>\w[\w.$#]*)"
)


def check_kind(name: str) -> str:
    """`db_name` as it is known here. Raises ConfRefused for what can never be served."""
    kind = name.strip().lower()
    if kind in _NEVER:
        raise ConfRefused(
            Refusal.NOT_SERVED, f"db_name {kind.upper()} is not supported: PostgreSQL, MariaDB, MySQL are"
        )
    if kind not in _SERVED and kind not in _COMPILED:
        raise ConfRefused(Refusal.BAD_VALUE, "db_name is none of MYSQL, MARIADB, POSTGRESQL, ORACLE, MSSQL, TIBERO")
    return kind


def translate(url: str, user: str, password: str) -> URL:
    """The same place for SQLAlchemy. Options after `?` or `;` belong to Java's driver and are dropped.

    Raises ConfRefused.
    """
    if match := _ORDINARY.fullmatch(url):
        backend = _SERVED[match["kind"]]
        host = match["host"].strip("[]")
        port = int(match["port"] or _PORTS[backend])
        return URL.create(backend, user, password, host, port, match["name"])
    if match := _SERVER.fullmatch(url):
        port = int(match["port"] or _PORTS["mssql"])
        return URL.create("mssql", user, password, match["host"], port, _named_database(match["rest"] or ""))
    if match := _THIN.fullmatch(url):
        if match["separator"] == "/":
            where = {"service_name": match["name"]}
            return URL.create("oracle", user, password, match["host"], int(match["port"]), query=where)
        return URL.create("oracle", user, password, match["host"], int(match["port"]), match["name"])
    raise ConfRefused(
        Refusal.BAD_VALUE, "db_url is no JDBC URL of MYSQL, MARIADB, POSTGRESQL, ORACLE, MSSQL or TIBERO with one host"
    )


def backend_of(kind: str) -> str:
    """What SQLAlchemy calls a make that `check_kind` has let pass."""
    return _SERVED.get(kind) or _COMPILED[kind]


def served(url: URL) -> bool:
    """Whether the agent can work there; for the others only the statements are known."""
    return url.get_backend_name() in _SERVED.values()


def _named_database(rest: str) -> str | None:
    """`;databaseName=x;…`, or the path of the other driver."""
    if rest.startswith("/"):
        return rest[1:].partition(";")[0] or None
    options = dict(part.partition("=")[::2] for part in rest.split(";") if part)
    return next((value for name, value in options.items() if name.lower() in {"databasename", "database"}), None)
