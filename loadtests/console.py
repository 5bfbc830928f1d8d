"""`bin/bench console`: how long the console's list pages take with a million bindings and five million texts.

The tables are filled in a database of their own, as they would stand after a month: bindings by COPY, since each number
is encrypted for its row, texts and calls by PostgreSQL itself. Every page is then asked for over HTTP from a real API
process, its later pages and searches too, and the charts of a day once from each of some new processes, which have
counted nothing yet; `p95_ms` is the 95th percentile of the slowest page.
"""

import asyncio
import re
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import httpx
import uuid_utils.compat as uuids

from api.console.security import TOKEN_FIELD, form_token
from loadtests import bench_servers
from loadtests.report import Raw, Result, rounded
from vns.access.rules import NewTenant, TenantKind
from vns.access.service import Access
from vns.bindings.rules import Side, cipher_context
from vns.crypto.rules import KeyRing
from vns.numbering.rules import digits_of, parse
from vns.pools.occupancy import Occupancy
from vns.pools.rules import NewPool, Service
from vns.pools.service import Pools
from vns.senders.service import number_context
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.migrate import upgrade
from vns.users.rules import NewUser, Role, new_token, token_hash
from vns.users.service import Users

ACTOR: Final = "bench"
BINDINGS: Final = 1_000_000
TEXTS: Final = 5_000_000
CALLS: Final = 1_000_000
FIRST: Final = 50_410_000_000  # the key of 0504-1000-0000
DAYS: Final = 30
SENDERS: Final = 20_000  # sender numbers
FIRST_SENDER: Final = 20_000_000  # of the first one, in Seoul
RARE: Final = 100  # bindings that a call consumed: what a search by status has to find among the others
ROUNDS, ROUNDS_QUICK = 60, 15
FIRST_LOOKS, FIRST_LOOKS_QUICK = 10, 3
COLUMNS: Final = [
    "id",
    "tenant_id",
    "pool_id",
    "vn",
    "mode",
    "status",
    "real_number",
    "real_index",
    "reference",
    "channels",
    "caller_id",
    "ends_at",
    "created_at",
    "ended_at",
]

SENDER_COLUMNS: Final = [
    "id",
    "tenant_id",
    "number",
    "number_index",
    "number_masked",
    "status",
    "method",
    "verified_at",
    "expires_at",
    "created_at",
]

# Ids sort by time. One tenant in ten is another.
_TEXTS: Final = """
insert into messages (id, tenant_id, vn, from_masked, to_masked, status, kind, fingerprint, session, received_at)
select uuidv7(t.at - now()), case when n % 10 = 0 then $2::uuid else $1::uuid end, $3::bigint + n % 1000000,
       '010-****-1234', '010-****-5678', (array['delivered', 'delivered', 'failed', 'refused'])[1 + n % 4], 'sms',
       decode(md5(n::text), 'hex'), 's', t.at
  from generate_series($4::integer, $5::integer) as n,
       lateral (select now() - make_interval(secs => (1 - n::float / $6) * 86400 * $7::integer) as at) as t
"""
_CALLS: Final = """
insert into calls (id, tenant_id, vn, direction, from_masked, to_masked, result, arrived_at, answered_at, ended_at,
                   billed_seconds, bridge, channel)
select uuidv7(t.at - now()), case when n % 10 = 0 then $2::uuid else $1::uuid end, $3::bigint + n % 1000000,
       'to_real', '010-****-1234', '010-****-5678',
       (array['answered', 'busy', 'ended', 'unreachable'])[1 + n % 4], t.at, t.at, t.at, 5, 'a', 'c'
  from generate_series($4::integer, $5::integer) as n,
       lateral (select now() - make_interval(secs => (1 - n::float / $6) * 86400 * $7::integer) as at) as t
"""
_PART: Final = 500_000  # rows in one statement


def run(quick: bool) -> Result:
    with bench_servers.folder() as place, bench_servers.postgres(place) as server:
        server.query("create database vns")
        url, keys_file = server.url("vns"), place / "keys.json"
        keyring = KeyRing.generate(keys_file)
        upgrade(url)
        begun = time.monotonic()
        token = asyncio.run(_seed(url, keyring))
        _tell(f"seeded in {time.monotonic() - begun:.0f} s")
        port = bench_servers.free_port()
        environment = {"VNS_DATABASE_URL": url, "VNS_KEYS_FILE": str(keys_file)}
        with bench_servers.api(place, port, environment, "console"):
            times = _measured(f"http://127.0.0.1:{port}/console", token, ROUNDS_QUICK if quick else ROUNDS)
        first_looks = []
        for number in range(FIRST_LOOKS_QUICK if quick else FIRST_LOOKS):
            port = bench_servers.free_port()
            with bench_servers.api(place, port, environment, f"first-{number}"):
                first_looks.append(_first_look(f"http://127.0.0.1:{port}/console", token))
    times["traffic, first look of a process"] = first_looks
    _tell(f"traffic, first look: median {statistics.median(first_looks):.1f} ms, highest {max(first_looks):.1f} ms")
    return _result(times)


def _result(times: Mapping[str, list[float]]) -> Result:
    p95 = {page: statistics.quantiles(values, n=20, method="inclusive")[-1] for page, values in times.items()}
    slowest = max(p95, key=lambda page: p95[page])
    raw: dict[str, Raw] = {
        f"{page} ms": {
            "median": rounded(statistics.median(values)),
            "lowest": rounded(min(values)),
            "highest": rounded(max(values)),
            "p95": rounded(p95[page]),
            "runs": [rounded(value) for value in values],
        }
        for page, values in times.items()
    }
    sizes: dict[str, Raw] = {"bindings": BINDINGS, "texts": TEXTS, "calls": CALLS, "slowest": slowest}
    return Result(keys={"p95_ms": p95[slowest], "pages": len(p95)}, raw={**sizes, **raw})


def _measured(base: str, token: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each page, asked for in turn by one person; two rounds warm up."""
    times: dict[str, list[float]] = {}
    with httpx.Client(timeout=120, cookies={"vns_console": token}) as client:
        pages = _pages(client, base)
        wanted = {"tenant": "mall", "wanted": f"02{FIRST_SENDER + SENDERS // 2}", TOKEN_FIELD: form_token(token)}
        pages[_SEARCH] = "/senders/search"
        forms = {_SEARCH: wanted}  # a number stands in no address
        for number in range(rounds + 2):
            for name, path in pages.items():
                begun = time.perf_counter()
                answer = client.post(base + path, data=forms[name]) if name in forms else client.get(base + path)
                taken = (time.perf_counter() - begun) * 1000
                if answer.status_code != 200:
                    raise RuntimeError(f"{name}: {answer.status_code}")
                if number >= 2:
                    times.setdefault(name, []).append(taken)
    for name, values in times.items():
        _tell(f"{name}: median {statistics.median(values):.1f} ms, highest {max(values):.1f} ms")
    return times


def _first_look(base: str, token: str) -> float:
    """Milliseconds of the charts in a process that has answered nothing but a page without counts."""
    with httpx.Client(timeout=120, cookies={"vns_console": token}) as client:
        client.get(f"{base}/keys?tenant=mall").raise_for_status()
        begun = time.perf_counter()
        client.get(f"{base}/traffic?tenant=mall").raise_for_status()
        return (time.perf_counter() - begun) * 1000


def _pages(client: httpx.Client, base: str) -> dict[str, str]:
    vn, nobodys = digits_of(FIRST + 4242), digits_of(FIRST + BINDINGS + 77)
    pages = {
        "bindings": "/bindings?tenant=mall",
        **{f"bindings {status}": f"/bindings?tenant=mall&status={status}" for status in _STATUSES},
        "bindings by reference": "/bindings?tenant=mall&reference=R-4242",
        "bindings by number": f"/bindings?tenant=mall&number={vn}",
        "bindings by a number without any": f"/bindings?tenant=mall&number={nobodys}",
        "bindings by number and status": f"/bindings?tenant=mall&number={vn}&status=consumed",
        "calls": "/calls?tenant=mall",
        "calls by number": f"/calls?tenant=mall&number={vn}",
        "calls by a number without any": f"/calls?tenant=mall&number={nobodys}",
        "messages": "/messages?tenant=mall",
        "messages by number": f"/messages?tenant=mall&number={vn}",
        "messages by a number without any": f"/messages?tenant=mall&number={nobodys}",
        "traffic": "/traffic?tenant=mall",
        "pools": "/pools?tenant=mall",
        "sender numbers": "/senders?tenant=mall",
        "sender numbers, oldest first": _OLDEST,
        "one sender number": _first_sender(client, base),
        "accounts": "/accounts?tenant=mall",
        "certificates": "/reviews",
        "audit": "/audit?tenant=mall",
        "audit of all": "/audit",
        "keys": "/keys?tenant=mall",
        "tenants": "/tenants",
    }
    for name in ("bindings", "calls", "messages", "bindings released", "sender numbers"):
        pages[f"{name}, page 5"] = _later(client, base, pages[name], 4)
    return pages


def _first_sender(client: httpx.Client, base: str) -> str:
    """The page of the oldest sender number; ids are known to the database alone."""
    found = re.search(r'href="/console(/senders/[0-9a-f-]{36}[^"]*)"', client.get(f"{base}{_OLDEST}").text)
    if found is None:
        raise RuntimeError("no sender number is listed")
    return found[1].replace("&amp;", "&")


_SEARCH: Final = "sender numbers by number"
_OLDEST: Final = "/senders?tenant=mall&order=oldest"
_STATUSES: Final = ("active", "released", "expired", "consumed")


def _later(client: httpx.Client, base: str, path: str, pages: int) -> str:
    for _ in range(pages):
        found = re.search(r'class="next" href="/console([^"]+)"', client.get(base + path).text)
        if found is None:
            raise RuntimeError(f"{path} has no next page")
        path = found[1].replace("&amp;", "&")
    return path


async def _seed(url: str, keyring: KeyRing) -> str:
    """Everything, and a session of an operator; its token."""
    database, clock = await Database.open(url, statement_timeout=600.0), Clock()
    try:
        access, pools = Access(database, clock), Pools(database, clock)
        kinds = {"mall": TenantKind.MALL, "small": TenantKind.MALL, "operator": TenantKind.OPERATOR}
        tenants = [
            await access.create_tenant(ACTOR, NewTenant(code=code, name=code, kind=kind))
            for code, kind in kinds.items()
        ]
        last = FIRST + 2 * BINDINGS - 1
        pool = await pools.create(ACTOR, NewPool(name="050", service=Service.PERSONAL, first=FIRST, last=last))
        mall, small, operator = tenants
        async with database.connection() as connection:
            await _fill(connection, keyring, (mall.id, small.id), pool.id)
            _tell(f"{SENDERS:,} sender numbers")
            numbers = _sender_numbers(keyring, mall.id)
            await connection.copy_records_to_table("sender_numbers", records=numbers, columns=SENDER_COLUMNS)
            await connection.execute("analyze sender_numbers")
        _tell("counting pools")
        await Occupancy(database, clock).take()
        users = Users(database, keyring, clock)
        new = NewUser(login="bench", role=Role.OPERATOR, name="Bench", mobile=parse("010-1234-5678"))
        user = (await users.create(ACTOR, operator, new)).user
        token, now = new_token(), clock.now()
        async with database.connection() as connection:
            await connection.execute("update users set must_change = false")
            await connection.execute(
                "insert into user_sessions (token_hash, user_id, created_at, seen_at, expires_at)"
                " values ($1, $2, $3, $3, $4)",
                token_hash(token),
                user.id,
                now,
                now + timedelta(hours=10),
            )
        return token
    finally:
        await database.close()


async def _fill(connection: asyncpg.Connection, keyring: KeyRing, tenants: tuple[UUID, UUID], pool_id: UUID) -> None:
    indexes = await connection.fetch(
        "select indexname, indexdef from pg_indexes where tablename in ('messages', 'calls') and indexname !~ '_pkey$'"
    )
    for row in indexes:  # made again afterwards: much faster than row by row
        await connection.execute(f"drop index {row['indexname']}")
    _tell(f"{BINDINGS:,} bindings")
    records = _bindings(keyring, tenants, pool_id)
    await connection.copy_records_to_table("bindings", records=records, columns=COLUMNS, timeout=1200)
    await connection.execute(
        "insert into numbers (vn, pool_id, kind, binding_id, free_at)"
        " select vn, pool_id, 'exclusive', id, ends_at from bindings",
        timeout=1200,
    )
    for what, statement, rows in (("texts", _TEXTS, TEXTS), ("calls", _CALLS, CALLS)):
        _tell(f"{rows:,} {what}")
        for first in range(1, rows + 1, _PART):
            last = min(rows, first + _PART - 1)
            await connection.execute(statement, *tenants, FIRST, first, last, rows, DAYS, timeout=1200)
    _tell("indexes")
    for row in indexes:
        await connection.execute(row["indexdef"], timeout=1200)
    await connection.execute("vacuum analyze", timeout=1200)


def _bindings(keyring: KeyRing, tenants: tuple[UUID, UUID], pool_id: UUID) -> Iterator[tuple[object, ...]]:
    """One in five is live; of those that ended all but RARE were released or ran out."""
    now = datetime.now(UTC)
    forever = datetime(9999, 1, 1, tzinfo=UTC)
    for number in range(BINDINGS):
        binding_id = uuids.uuid7()
        created = now - timedelta(days=DAYS) + timedelta(days=DAYS) * (number / BINDINGS)
        live = number % 5 == 0
        rare = number % (BINDINGS // RARE) == 1
        status = "active" if live else "consumed" if rare else ("released", "expired")[number % 2]
        digits = f"010{number:08}"
        yield (
            binding_id,
            tenants[number % 10 == 9],
            pool_id,
            FIRST + number,
            "one_way",
            status,
            keyring.encrypt(digits, context=cipher_context(binding_id, Side.REAL)),
            keyring.index(digits),
            f"R-{number}",
            ["voice", "sms"],
            "caller",
            forever if live else created,
            created,
            None if live else created,
        )


def _sender_numbers(keyring: KeyRing, tenant_id: UUID) -> Iterator[tuple[object, ...]]:
    """Two of three are proven."""
    now = datetime.now(UTC)
    for place in range(SENDERS):
        sender_id, number = uuids.uuid7(), parse(f"02{FIRST_SENDER + place}")
        proven = place % 3 > 0
        yield (
            sender_id,
            tenant_id,
            keyring.encrypt(number.digits, context=number_context(sender_id)),
            keyring.index(number.digits),
            number.masked,
            "verified" if proven else "waiting",
            "call" if proven else None,
            now if proven else None,
            now + timedelta(days=365) if proven else None,
            now,
        )


def _tell(line: str) -> None:
    print(f"[console] {line}", file=sys.stderr, flush=True)
