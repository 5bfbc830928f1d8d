"""A platform core on a real database with a clock that tests move, for the tests of vns and of its doors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vns.access.rules import NewTenant, Principal, TenantKind
from vns.access.service import Access
from vns.bindings.rules import AllocationRequest, Binding, Channel
from vns.bindings.service import Bindings
from vns.crypto.rules import KeyRing
from vns.numbering.rules import caller_from_sip, parse
from vns.pools.rules import Mode, NewPool, Pool, Service, range_of
from vns.pools.service import Pools
from vns.routing.rules import Question
from vns.routing.service import Routed, Router
from vns.storage.clock import Clock
from vns.storage.database import Database

CUSTOMER, COURIER, STRANGER = "01011112222", "01033334444", "01055556666"


class MovedClock(Clock):
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def move(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class World:
    """The services of the core over one database, and a mall that uses them."""

    db: Database
    clock: MovedClock
    keyring: KeyRing
    access: Access
    pools: Pools
    bindings: Bindings
    router: Router
    mall: Principal

    async def tenant(self, code: str, kind: TenantKind = TenantKind.MALL, **limits: int) -> Principal:
        await self.access.create_tenant("test", NewTenant(code=code, name=code, kind=kind, **limits))
        return await self.login(code)

    async def login(self, code: str) -> Principal:
        """As what a new key of the tenant acts."""
        issued = await self.access.issue_key("test", code)
        return await self.access.authenticate(issued.secret)

    async def pool(self, first: str, last: str, service: Service = Service.PERSONAL, **settings: Any) -> Pool:
        low, high = range_of(service, first, last)
        name = settings.pop("name", f"{service}-{first}")
        return await self.pools.create("test", NewPool(name=name, service=service, first=low, last=high, **settings))

    async def allocate(self, real: str = CUSTOMER, **fields: Any) -> Binding:
        allocation = await self.bindings.allocate(self.mall, request(real, **fields))
        assert allocation.binding is not None
        return allocation.binding

    async def pair(self, real: str = CUSTOMER, peer: str = COURIER, **fields: Any) -> Binding:
        return await self.allocate(real, mode=Mode.BIDIRECTIONAL, peer=peer, **fields)

    async def ask(self, vn: int, caller: str | None, channel: Channel = Channel.VOICE, **fields: Any) -> Routed:
        async with self.db.transaction() as connection:
            return await self.router.route(connection, self.question(vn, caller, channel, **fields))

    def question(self, vn: int, caller: str | None, channel: Channel = Channel.VOICE, **fields: Any) -> Question:
        number = caller_from_sip(caller) if caller else None
        return Question(vn=vn, caller=number, channel=channel, at=self.clock.now(), **fields)


def request(real: str = CUSTOMER, **fields: Any) -> AllocationRequest:
    """An allocation as a mall asks for it; `peer`, `vn`, `peer_vn` and `members` are typed numbers."""
    peer, vn, peer_vn = (fields.pop(name, None) for name in ("peer", "vn", "peer_vn"))
    return AllocationRequest(
        mode=fields.pop("mode", Mode.ONE_WAY),
        real_number=parse(real),
        peer_number=parse(peer) if peer else None,
        virtual_number=parse(vn).key if vn else None,
        peer_virtual_number=parse(peer_vn).key if peer_vn else None,
        members=tuple(map(parse, fields.pop("members", ()))),
        **fields,
    )


@asynccontextmanager
async def open_world(database_url: str, folder: Path) -> AsyncIterator[World]:
    """A core with a 050 and a 070 pool of twenty numbers each."""
    db, clock = await Database.open(database_url, size=10), MovedClock()
    keyring = KeyRing.generate(folder / "keys.json")
    world = World(
        db=db,
        clock=clock,
        keyring=keyring,
        access=Access(db, clock),
        pools=Pools(db, clock, keyring),
        bindings=Bindings(db, keyring, clock, render=lambda binding: f'{{"id": "{binding.id}"}}'),
        router=Router(keyring),
        mall=None,  # type: ignore[arg-type]  # set below, before anybody sees it
    )
    world.mall = await world.tenant("mall")
    await world.pool("0504-1000-0000", "0504-1000-0019", name="safe", voice_proof="file 2")
    await world.pool("070-8000-0000", "070-8000-0019", Service.VOIP, name="voip", sms_sender_proof="file 1")
    try:
        yield world
    finally:
        await world.bindings.close()
        await db.close()


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_url, tmp_path) as opened:
        yield opened
