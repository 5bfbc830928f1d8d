"""`vns pool`: ranges of virtual numbers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from cli.dates import LastDay, end_of
from cli.output import compact, fields, table
from cli.running import Platform, actor, on_platform
from vns.errors import InvalidRequest
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import ManagedBy, Mode, NewPool, Pool, PoolChange, Proof, Service, default_sms_proof, range_of

app = typer.Typer(no_args_is_help=True, help="Ranges of virtual numbers.")

PoolArgument = Annotated[str, typer.Argument(help="The pool's name or id.")]
Numbers = Annotated[list[str] | None, typer.Option("--number", help="Only this number of the pool; may be repeated.")]


@app.command("list")
def list_(
    counts: Annotated[
        bool, typer.Option("--counts", help="Count free and used numbers too (reads every used one).")
    ] = False,
) -> None:
    """All pools."""

    async def act(platform: Platform) -> list[tuple[object, ...]]:
        pools = await platform.pools.list(None)
        now = platform.clock.now()
        rows: list[tuple[object, ...]] = [_row(pool, now) for pool in pools]
        if counts:
            found = await platform.pools.counts([pool.id for pool in pools])
            sums = (found[pool.id] for pool in pools)
            rows = [
                (*row, count.total, count.free, count.live, count.quarantined, count.locked)
                for row, count in zip(rows, sums, strict=True)
            ]
        return rows

    heading = ("NAME", "SERVICE", "FIRST", "LAST", "LOCKED", "SENDS_TEXTS", "SHOWN_ON_CALLS", "OWNER", "MODES")
    table((*heading, *(("TOTAL", "FREE", "LIVE", "RESTING", "HELD") if counts else ())), on_platform(act))


@app.command()
def create(
    *,
    name: Annotated[str, typer.Argument(help="What the pool is called.")],
    service: Annotated[Service, typer.Option(help="Kind of number.")],
    first: Annotated[str, typer.Option(help="First number.")],
    last: Annotated[str, typer.Option(help="Last number, inside the pool.")],
    owner: Annotated[str | None, typer.Option(help="Tenant that alone may use it; without: every tenant.")] = None,
    mode: Annotated[list[Mode] | None, typer.Option(help="May be repeated; without it the service's own.")] = None,
    sms_sender_proof: Annotated[
        str | None,
        typer.Option(help="Where the proof is filed that these numbers may send texts; 070 and 1877 have one anyway."),
    ] = None,
    voice_proof: Annotated[
        str | None,
        typer.Option(help="Where the proof is filed that they may be shown on calls; without: that of texts."),
    ] = None,
    until: LastDay = None,
    unproven: Annotated[bool, typer.Option("--unproven", help="No proof by default: it is filed later.")] = False,
    quarantine_seconds: Annotated[int, typer.Option(help="Rest after use.", min=0)] = 7 * 24 * 3600,
    default_ttl_seconds: Annotated[
        int | None, typer.Option(help="Sliding expiry of bindings that name none.", min=1)
    ] = None,
    low_water: Annotated[
        int | None, typer.Option(help="Fewer free numbers than this are told of; without it 1 %.", min=0)
    ] = None,
    managed_by: Annotated[
        ManagedBy, typer.Option(help="customer: numbers are only given out by name, by the owner.")
    ] = ManagedBy.PLATFORM,
) -> None:
    """Make a pool from a range. Any size takes the same time."""

    async def act(platform: Platform) -> Pool:
        start, end = range_of(service, first, last)
        silent = not (unproven or sms_sender_proof or voice_proof)
        new = NewPool(
            name=name,
            service=service,
            first=start,
            last=end,
            owner_id=(await platform.access.get_tenant(owner)).id if owner else None,
            modes=frozenset(mode) if mode else None,
            sms_sender_proof=default_sms_proof(service) if silent else sms_sender_proof,
            voice_proof=voice_proof,
            voice_proof_until=end_of(until),
            quarantine_seconds=quarantine_seconds,
            default_ttl_seconds=default_ttl_seconds,
            low_water=low_water,
            managed_by=managed_by,
        )
        return await platform.pools.create(actor(), new)

    show_pool(on_platform(act))


@app.command()
def proof(
    pool: PoolArgument,
    voice: Annotated[
        str | None, typer.Option(help="Where the proof is filed that its numbers may be shown on calls.")
    ] = None,
    sms: Annotated[
        str | None, typer.Option(help="Where the proof is filed that they may send texts; it proves calls too.")
    ] = None,
    until: LastDay = None,
    withdraw: Annotated[list[Proof] | None, typer.Option(help="Takes a proof away; may be repeated.")] = None,
) -> None:
    """File or withdraw what proves a pool's numbers. In force with the next call and text; `--until` is for calls."""

    async def act(platform: Platform) -> Pool:
        found = await platform.pools.get(pool)
        change = PoolChange(
            voice_proof=voice,
            sms_sender_proof=sms,
            voice_proof_until=end_of(until),
            withdraw_proofs=frozenset(withdraw or ()),
        )
        if not change.names_proofs:
            raise InvalidRequest("say which proof is filed, ends or is withdrawn")
        return await platform.pools.change(actor(), found.id, change)

    show_pool(on_platform(act))


@app.command()
def lock(pool: PoolArgument, numbers: Numbers = None) -> None:
    """Give out no number of a pool any more, or not these. Live bindings go on."""
    _hold(pool, numbers or [], locked=True)


@app.command()
def unlock(pool: PoolArgument, numbers: Numbers = None) -> None:
    """Take a lock back."""
    _hold(pool, numbers or [], locked=False)


def _hold(name: str, numbers: Sequence[str], *, locked: bool) -> None:
    async def act(platform: Platform) -> Pool:
        pool = await platform.pools.get(name)
        keys = tuple(parse(number).key for number in numbers)
        return await platform.pools.change(actor(), pool.id, _held(keys, locked=locked))

    show_pool(on_platform(act))


def _held(keys: tuple[int, ...], *, locked: bool) -> PoolChange:
    """The whole pool where no numbers are named."""
    if not keys:
        return PoolChange(locked=locked)
    return PoolChange(lock=keys) if locked else PoolChange(unhold=keys)


def show_pool(pool: Pool) -> None:
    fields(
        [
            ("id", pool.id),
            ("name", pool.name),
            ("service", pool.service),
            ("first", digits_of(pool.first)),
            ("last", digits_of(pool.last)),
            ("numbers", pool.last - pool.first + 1),
            ("owner", pool.owner_id),
            ("modes", pool.modes),
            ("sms_sender_proof", pool.sms_sender_proof),
            ("voice_proof", pool.voice_proof),
            ("voice_proof_until", pool.voice_proof_until),
            ("quarantine_seconds", pool.quarantine_seconds),
            ("default_ttl_seconds", pool.default_ttl_seconds),
            ("low_water", pool.low_water),
            ("locked", "yes" if pool.locked else "no"),
            ("managed_by", pool.managed_by),
            ("rules", compact(pool.rules)),
        ]
    )


def _row(pool: Pool, now: datetime) -> tuple[object, ...]:
    return (
        pool.name,
        pool.service,
        digits_of(pool.first),
        digits_of(pool.last),
        "yes" if pool.locked else "no",
        "yes" if pool.sms_sender_proof else "no",
        "yes" if pool.may_be_shown(now) else "no",
        pool.owner_id,
        pool.modes,
    )
