"""PostgreSQL answers, but not soon: what a copy says in its place, and that one call is decided once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.core_world import COURIER, CUSTOMER
from tests.standby.parts import BEGINS, Scene, known, target
from vns.calls.service import Begun
from vns.calls.standby import Standby
from vns.numbering.rules import digits_of


@pytest.fixture
def hasty(on: Scene) -> Scene:
    """A bridge that looks for a copy as soon as PostgreSQL has been asked."""
    on.bridge.standby = Standby(on.bridge.calls, on.world.router, on.bridge.copies, on.bridge.db, hedge=0)
    return on


@asynccontextmanager
async def held_up(on: Scene) -> AsyncIterator[None]:
    """No facts are told, and no question is refused for it."""
    async with on.world.db.transaction() as connection:
        await connection.execute("lock table bindings in access exclusive mode")
        yield


class Looks:
    """A copy is being looked for, and found once `go` is set."""

    def __init__(self, on: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        self._before = asyncio.all_tasks()
        self.begun, self.go, self.over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        find = on.bridge.store.find

        async def found(*asked: Any) -> Any:
            self.begun.set()
            await self.go.wait()
            try:
                return await find(*asked)
            finally:
                self.over.set()

        monkeypatch.setattr(on.bridge.store, "find", found)

    async def under_way(self) -> set[asyncio.Task[Any]]:
        """All tasks that are there for it, once it has begun."""
        await self.begun.wait()
        return asyncio.all_tasks() - self._before


async def copied(on: Scene) -> list[bool]:
    """Of each call of the bridge's, whether a copy decided."""
    await on.bridge.begins.write()
    async with on.world.db.connection() as connection:
        return [row["from_copy"] for row in await connection.fetch("select from_copy from calls order by arrived_at")]


async def test_a_copy_answers_where_postgresql_takes_too_long(hasty: Scene) -> None:
    vn = await known(hasty)
    hasty.world.clock.move(seconds=1)
    async with held_up(hasty):
        assert target(await hasty.bridge.call(vn, COURIER)) == CUSTOMER
        assert not hasty.bridge.standby.calm
    await hasty.bridge.standby.probe()
    assert await copied(hasty) == [False, True]


async def test_the_question_that_a_copy_answered_is_given_up(hasty: Scene) -> None:
    vn = await known(hasty)
    async with held_up(hasty):
        answers: list[Begun] = []
        deciding = asyncio.create_task(hasty.bridge.standby.begin(hasty.bridge.attempt(vn, COURIER), answers.append))
        await asyncio.wait([deciding])
        assert deciding.cancelled()
        assert [target(begun) for begun in answers] == [CUSTOMER]


async def test_a_call_is_told_once_also_where_giving_up_fails(hasty: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    vn = await known(hasty)

    async def stuck(_: object) -> Begun:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionResetError from None
        raise AssertionError("never")

    monkeypatch.setattr(hasty.bridge.calls, "begin", stuck)
    answers: list[Begun] = []
    await hasty.bridge.standby.begin(hasty.bridge.attempt(vn, COURIER), answers.append)
    assert [target(begun) for begun in answers] == [CUSTOMER]


async def test_what_postgresql_answers_while_a_copy_is_looked_for_counts_and_nothing_else(
    hasty: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    vn = await known(hasty)
    looks = Looks(hasty, monkeypatch)
    async with held_up(hasty):
        calling = asyncio.create_task(hasty.bridge.call(vn, COURIER))
        asked = await looks.under_way()
    assert target(await calling) == CUSTOMER
    looks.go.set()
    await asyncio.wait(asked)
    assert hasty.bridge.standby.calm
    assert await copied(hasty) == [False, False]


async def test_without_a_copy_postgresqls_answer_is_waited_for(hasty: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    vn = digits_of((await hasty.world.allocate()).vn)
    looks = Looks(hasty, monkeypatch)
    looks.go.set()
    async with held_up(hasty):
        calling = asyncio.create_task(hasty.bridge.call(vn, COURIER))
        await looks.over.wait()
        assert not calling.done()
    assert target(await calling) == CUSTOMER
    assert hasty.bridge.standby.calm


async def test_a_copy_that_cannot_be_written_down_connects_nobody(
    hasty: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    vn = await known(hasty)
    await hasty.bridge.begins.close()
    (tmp_path / BEGINS).mkdir()
    looks = Looks(hasty, monkeypatch)
    async with held_up(hasty):
        calling = asyncio.create_task(hasty.bridge.call(vn, COURIER))
        asked = await looks.under_way()
        looks.go.set()
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert not calling.done()
    assert target(await calling) == CUSTOMER
    assert "IsADirectoryError" in caplog.text
    assert await copied(hasty) == [False, False]


async def test_a_caller_who_hangs_up_meanwhile_is_not_written_down(
    hasty: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vn = await known(hasty)
    looks = Looks(hasty, monkeypatch)
    async with held_up(hasty):
        deciding = asyncio.create_task(hasty.bridge.standby.begin(hasty.bridge.attempt(vn, COURIER), _nobody))
        asked = await looks.under_way()
        deciding.cancel()
        looks.go.set()
        await asyncio.wait(asked)
    assert len((tmp_path / BEGINS).read_text().splitlines()) == 1, "but the call from before"


def _nobody(_: object) -> None:
    raise AssertionError("told, and nobody is there any more")
