"""The statements that fetch the facts, against a naive reading of the same rows; and the short one against the long."""

import random
from collections.abc import Iterator

import pytest

from tests.core_world import World
from tests.routing.rows import Row, write
from vns.bindings.rules import Channel, Status
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import Mode
from vns.routing import queries
from vns.routing.rules import Collect, Connect, Question, Refuse
from vns.routing.service import Routed

PARTIES = [f"0105555000{number}" for number in range(8)]
STRANGER, SHOP = "01099990000", "0212345678"
SAFE = [50410000000 + number for number in range(5)]
VOIP = [7080000000 + number for number in range(5)]
EXTENSIONS = ["11", "12", "13"]
STATES = [
    {"status": Status.ACTIVE},
    {"status": Status.ACTIVE},
    {"status": Status.ACTIVE, "ended": True},
    {"status": Status.RELEASED, "ended": True},
    {"status": Status.EXPIRED, "ended": True, "rested": True},
]


def history(dice: random.Random) -> Iterator[Row]:
    """Bindings one after the other; a number keeps to its use, a live binding to its number, seat and extension."""
    uses: dict[int, str] = {}
    taken: set[object] = set()
    for _ in range(60):
        mode = dice.choice(list(Mode))
        vn = dice.choice(SAFE if mode in (Mode.ONE_WAY, Mode.EXTENSION) else VOIP)
        peer_vn = dice.choice([other for other in VOIP if other != vn]) if mode is Mode.PER_SIDE else None
        state = dice.choice(STATES)
        people = dice.sample(PARTIES, 4)
        row = Row(
            mode=mode,
            vn=vn,
            real=people[0],
            peer=people[1] if mode in (Mode.BIDIRECTIONAL, Mode.PER_SIDE) else None,
            peer_vn=peer_vn,
            members=people[1 : dice.randint(2, 4)] if mode is Mode.GROUP else (),
            extension=dice.choice(EXTENSIONS) if mode is Mode.EXTENSION else None,
            caller_id=dice.choice(["caller", "virtual"]) if mode in (Mode.ONE_WAY, Mode.EXTENSION) else "virtual",
            last_caller=dice.choice([None, STRANGER]) if mode is Mode.EXTENSION else None,
            rules=dice.choice([None, None, {"ring_seconds": 20}]),
            **state,  # type: ignore[arg-type]  # a state's fields
        )
        use = {Mode.ONE_WAY: "exclusive", Mode.OUTBOUND: "exclusive", Mode.EXTENSION: "extension"}.get(mode, "shared")
        numbers = [number for number in (vn, peer_vn) if number is not None]
        if any(uses.get(number, use) != use for number in numbers):
            continue
        keys: set[object] = {(vn,)} if use == "exclusive" else set(row.parties)
        keys |= {(vn, row.extension)} if row.extension else set()
        keys |= {("subscriber", row.real)} if mode is Mode.OUTBOUND else set()
        if keys & taken:
            continue
        uses |= dict.fromkeys(numbers, use)
        if row.status is Status.ACTIVE:
            taken |= keys
        yield row


def is_live(row: Row) -> bool:
    return row.status is Status.ACTIVE and not row.ended


def expected(rows: list[Row], vn: int, caller: str, digits: str | None) -> str:
    """What ought to happen, read off the rows in the order in which they were written."""
    here = [row for row in rows if vn in {row.vn, *(seat for seat, _ in row.parties)}]
    if vn not in SAFE + VOIP:
        outbound = [row for row in rows if row.mode is Mode.OUTBOUND and row.real == caller and is_live(row)]
        return f"{digits_of(vn)} sees {digits_of(outbound[0].vn)}" if outbound else "unallocated"
    if not here:
        return "unallocated"
    if here[-1].mode in (Mode.ONE_WAY, Mode.OUTBOUND):
        return exclusive(here[-1], caller, digits)
    if here[-1].mode is Mode.EXTENSION:
        return extension(here, caller, digits)
    return shared(here, vn, caller)


def exclusive(row: Row, caller: str, digits: str | None) -> str:
    if not is_live(row):
        return "unallocated" if row.rested else "ended"
    owner = row.real == caller
    if row.mode is Mode.OUTBOUND:
        if not owner:
            return "not_allowed"
        return "asks for a number" if digits is None else "not_allowed"
    if owner:
        return "not_allowed"
    return f"{row.real} sees {caller if row.caller_id == 'caller' else digits_of(row.vn)}"


def extension(here: list[Row], caller: str, digits: str | None) -> str:
    shown = digits_of(here[0].vn)
    latest = {row.extension: row for row in here}
    if digits is not None:
        row = latest.get(digits)
        if row is None or (not is_live(row) and row.rested):
            return "not_a_party"
        if not is_live(row):
            return "ended"
        if row.real == caller:
            return "not_allowed"
        return f"{row.real} sees {caller if row.caller_id == 'caller' else shown}"
    own = [row for row in here if row.real == caller]
    if own and is_live(own[-1]):
        return f"{own[-1].last_caller} sees {shown}" if own[-1].last_caller else "unreachable"
    return "unallocated" if all(row.rested for row in latest.values()) else "asks for a extension"


def shared(here: list[Row], vn: int, caller: str) -> str:
    seats = {party: row for row in here for seat, party in row.parties if seat == vn}
    row = seats.get(caller)
    if row is None:
        return "unallocated" if all(other.rested for other in seats.values()) else "not_a_party"
    if not is_live(row):
        return "ended"
    shown = digits_of(vn)
    if row.mode is Mode.PER_SIDE:
        shown = digits_of((row.peer_vn if vn == row.vn else row.vn) or 0)
    if row.mode is Mode.GROUP and caller == row.real:
        return f"{','.join(row.members)} sees {shown}"
    return f"{row.peer if caller == row.real else row.real} sees {shown}"


def told(routed: Routed) -> str:
    decision = routed.decision
    if isinstance(decision, Refuse):
        return decision.reason.value
    if isinstance(decision, Collect):
        return f"asks for a {decision.what}"
    return f"{','.join(target.digits for target in routed.targets)} sees {routed.presented}"


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_decided_is_what_the_rows_say(world: World, seed: int) -> None:
    rows = list(history(random.Random(seed)))
    for row in rows:
        await write(world, row)
    outcomes = set()
    async with world.db.connection() as connection:
        for dialled in (*SAFE, *VOIP, int(SHOP)):
            for caller in (*PARTIES, STRANGER):
                for digits in (None, *EXTENSIONS) if dialled != int(SHOP) else (None,):
                    number = parse(digits_of(dialled))
                    question = Question(
                        vn=number.key,
                        caller=parse(caller),
                        channel=Channel.VOICE,
                        at=world.clock.now(),
                        dialled=number,
                        digits=digits,
                    )
                    routed = await world.router.route(connection, question)
                    wanted = expected(rows, dialled, caller, digits)
                    assert told(routed) == wanted, (dialled, caller, digits)
                    outcomes.add(type(routed.decision))
    assert Connect in outcomes
    assert Refuse in outcomes


async def test_the_short_statement_tells_what_the_long_one_does(world: World) -> None:
    """For all that it answers by itself; and where it does not, it says that there is more."""
    rows = list(history(random.Random(99)))
    for row in rows:
        await write(world, row)
    answered = 0
    async with world.db.connection() as connection:
        for vn in (*SAFE, *VOIP, int(SHOP)):
            for caller in (*PARTIES, STRANGER):
                asked = (vn, world.keyring.index(caller), world.clock.now())
                short = await connection.fetchrow(queries.FACTS, *asked)
                long = await connection.fetchrow(queries.ALL_FACTS, *asked, None, None, None, None)
                special = long["mode"] in ("per_side", "group", "outbound") or long["kind"] == "extension"
                assert bool(short["more"]) == (special or long["rules"] is not None or not long["in_pool"])
                if not short["more"]:
                    answered += 1
                    columns = set(short.keys()) - {"more"}
                    assert {name: short[name] for name in columns} == {name: long[name] for name in columns}
    assert answered


async def test_blocks_hooks_and_rules_of_the_pool_are_more_too(world: World) -> None:
    binding = await world.allocate()
    asked = (binding.vn, world.keyring.index(STRANGER), world.clock.now())
    for statement in (
        "update pools set rules = '{\"record\": true}'",
        "insert into intercept_hooks select tenant_id, 'http://x', '', 700, 'allow', now() from bindings",
        "insert into blocked_parties (tenant_id, pool_id, party, number, direction, created_at) "
        "select tenant_id, pool_id, real_index, '', 'from', now() from bindings",
        "insert into blocked_parties (tenant_id, binding_id, party, number, direction, created_at) "
        "select tenant_id, id, real_index, '', 'from', now() from bindings",
    ):
        async with world.db.connection() as connection:
            assert not (await connection.fetchrow(queries.FACTS, *asked))["more"]
            inside = connection.transaction()
            await inside.start()
            await connection.execute(statement)
            assert (await connection.fetchrow(queries.FACTS, *asked))["more"], statement
            await inside.rollback()
