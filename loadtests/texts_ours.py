"""Our side of `bin/bench texts`: a platform with pairs on a 070 pool, its NPro database, the relay as a process."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from loadtests import bench_servers
from loadtests.texts_peers import PASSWORD, WINDOW, Peer
from local.postgres import PostgresServer
from vns.access.rules import NewTenant, TenantKind
from vns.access.service import Access
from vns.bindings.rules import Allocation, AllocationRequest
from vns.bindings.service import Bindings
from vns.crypto.rules import KeyRing
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import Mode, NewPool, Service, range_of
from vns.pools.service import Pools
from vns.storage.clock import Clock
from vns.storage.database import Database, plain_url
from vns.storage.migrate import upgrade

PAIRS = 1_000
ACTOR = "bench"
Pair = tuple[str, str, str]
"""Who writes, to which virtual number, and who is to get it."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Databases with pairs in them. `npro_url` is the database of MSG_DATA."""

    place: Path
    server: PostgresServer
    database_url: str
    npro_url: str
    pairs: list[Pair]

    def environment(self, smsc: Peer) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "VNS_DATABASE_URL": self.database_url,
            "VNS_NPRO_DATABASE_URL": self.npro_url,
            "VNS_KEYS_FILE": str(self.place / "keys.json"),
            "VNS_SMPP_URL": f"smpp://bench:{PASSWORD}@127.0.0.1:{smsc.port}",
            "VNS_SMPP_WINDOW": str(WINDOW),
            "VNS_LOG_LEVEL": "WARNING",
        }


def prepare(place: Path, server: PostgresServer, *, npro_url: str | None = None) -> Ground:
    """Both databases on `server`, unless the tables are to be elsewhere."""
    server.query("create database vns")
    if npro_url is None:
        server.query("create database npro")
        server.query("alter database npro set timezone = 'Asia/Seoul'")
    url = server.url("vns")
    upgrade(url)
    pairs = asyncio.run(_seed(url, place / "keys.json"))
    return Ground(place=place, server=server, database_url=url, npro_url=npro_url or server.url("npro"), pairs=pairs)


async def _seed(url: str, keys_file: Path) -> list[Pair]:
    db, clock, keyring = await Database.open(url, size=4), Clock(), KeyRing.generate(keys_file)
    access, pools = Access(db, clock), Pools(db, clock)
    bindings = Bindings(db, keyring, clock, render=lambda binding: str(binding.id))
    try:
        await access.create_tenant(ACTOR, NewTenant(code="bench", name="bench", kind=TenantKind.MALL))
        principal = await access.authenticate((await access.issue_key(ACTOR, "bench")).secret)
        first, last = range_of(Service.VOIP, "070-8000-0000", "070-8000-9999")
        await pools.create(
            ACTOR, NewPool(name="bench", service=Service.VOIP, first=first, last=last, sms_sender_proof="bench")
        )
        parties = [(f"0102{number:07}", f"0103{number:07}") for number in range(PAIRS)]
        requests = [
            AllocationRequest(mode=Mode.BIDIRECTIONAL, real_number=parse(real), peer_number=parse(peer))
            for real, peer in parties
        ]
        made: list[Pair] = []
        for (real, peer), answer in zip(parties, await bindings.allocate_many(principal, requests), strict=True):
            if not isinstance(answer, Allocation) or answer.binding is None:
                raise RuntimeError("an allocation failed")
            made.append((real, digits_of(answer.binding.vn), peer))
        return made
    finally:
        await bindings.close()
        await db.close()


@contextmanager
def relay(ground: Ground, smsc: Peer, **settings: str) -> Iterator[None]:
    """`python -m sms_relay` as `bin/up` runs it, bound to the SMSC; ended on leaving."""
    environment: Mapping[str, str] = {**ground.environment(smsc), **settings}
    command = bench_servers.with_environment([sys.executable, "-m", "sms_relay"], environment)
    with bench_servers.running(command, ground.place / "relay.log", lambda: True):
        smsc.event("bound")
        yield


def statuses(ground: Ground) -> dict[str, int]:
    """How many messages the platform has in each state."""

    async def ask() -> dict[str, int]:
        connection = await asyncpg.connect(plain_url(ground.database_url))
        try:
            rows = await connection.fetch("select status, count(*) as n from messages group by status")
        finally:
            await connection.close()
        return {row["status"]: row["n"] for row in rows}

    return asyncio.run(ask())
