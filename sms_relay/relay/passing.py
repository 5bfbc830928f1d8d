"""What it looks like when one of the two databases, or the key file, cannot be used now: wait and try again; nothing is
lost meanwhile.
"""

import asyncpg

from sms_relay.npro.database import NproError
from vns.crypto.errors import KeyFileInvalid
from vns.errors import Unavailable

PASSING = (NproError, Unavailable, KeyFileInvalid, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""TimeoutError is an OSError. PostgresError: a server that is shutting down ends sessions with ordinary errors."""


def told(error: BaseException) -> str:
    """For a log line: never a statement's values."""
    return str(error) if isinstance(error, NproError | Unavailable | KeyFileInvalid) else type(error).__name__
