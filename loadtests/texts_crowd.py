"""Tables as a busy customer leaves them: millions of rows in MSG_DATA and in this month's log."""

from collections.abc import Callable
from dataclasses import replace

from loadtests.texts_ours import Ground, relay
from loadtests.texts_peers import Peer

ROWS = 5_000_000  # in each of the two tables
AT_ONCE = 250_000
NAME = "crowd"

# Every other one is reserved for a later day, the rest waits for its result.
_WAITING = """
insert into MSG_DATA (CUR_STATE, SENT_DATE, REQ_DATE, CALL_TO, CALL_FROM, SMS_TXT, MSG_TYPE)
select case when n % 2 = 0 then 0 else 2 end, case when n % 2 = 1 then localtimestamp(0) end,
       case when n % 2 = 0 then localtimestamp(0) + interval '20 days' end,
       '0104' || lpad(n::text, 7, '0'), '07080000000', 'Your parcel ' || n || ' is at the door', 4
  from generate_series({first}, {last}) n
"""
_LOGGED = """
insert into MSG_LOG_{month} (MSG_SEQ, CUR_STATE, SENT_DATE, RSLT_DATE, RSLT_CODE, RSLT_CODE2, RSLT_NET,
                             CALL_TO, CALL_FROM, SMS_TXT, MSG_TYPE)
select 1000000000 + n, 3, localtimestamp(0), localtimestamp(0), 0, '0', 'SKT',
       '0104' || lpad(n::text, 7, '0'), '07080000000', 'Your parcel ' || n || ' is at the door', 4
  from generate_series({first}, {last}) n
"""


def crowded(ground: Ground, smsc: Peer, send_some: Callable[[Ground], object]) -> Ground:
    """The same platform with a database of tables beside the first one, full. `send_some` makes the agent make them."""
    server = ground.server
    server.query(f"create database {NAME}")
    server.query(f"alter database {NAME} set timezone = 'Asia/Seoul'")
    full = replace(ground, npro_url=server.url(NAME))
    with relay(full, smsc):
        send_some(full)
    month = server.query("select to_char(localtimestamp, 'YYYYMM')", database=NAME)
    for first in range(0, ROWS, AT_ONCE):
        last = first + AT_ONCE - 1
        server.query(_WAITING.format(first=first, last=last), database=NAME)
        server.query(_LOGGED.format(first=first, last=last, month=month), database=NAME)
    for table in ("MSG_DATA", f"MSG_LOG_{month}"):
        server.query(f"vacuum analyze {table}", database=NAME)
    server.query("checkpoint", database=NAME)  # its writes are not to be measured
    return full
