"""What makes a piece of work wait rather than fail: the database, Asterisk or a file does not answer now."""

import asyncpg

from ivr.ami.connection import AmiUnavailable
from vns.errors import VnsError

GONE = (
    VnsError,
    AmiUnavailable,
    TimeoutError,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # "not connected": noticed between connecting and the first statement
)
