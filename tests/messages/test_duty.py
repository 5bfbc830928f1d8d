"""The duty of the one relay: held as long as its session, and asked for rather than believed in."""

import asyncio

import pytest

from tests.core_world import World
from tests.messages.cutting import cut_the_duty
from vns.errors import Unavailable
from vns.messages import duty as duties
from vns.messages.duty import sole_relay


async def test_a_duty_that_was_given_back_is_the_next_one_s(world: World) -> None:
    async with sole_relay(world.db) as first:
        await first.confirm()
    async with sole_relay(world.db) as second:
        await second.confirm()
        with pytest.raises(Unavailable):
            await first.confirm()


async def test_once_its_session_is_cut_nobody_takes_it_for_held(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks finds it out, and the watch need not wait for its next sign of life."""
    monkeypatch.setattr(duties, "PING", 3600.0)
    async with sole_relay(world.db) as duty:
        watching = asyncio.create_task(duty.watch(lambda: None))
        await cut_the_duty(world)
        async with sole_relay(world.db) as next_one:
            with pytest.raises(Unavailable):
                await duty.confirm()
            with pytest.raises(Unavailable):
                await watching
            await next_one.confirm()
