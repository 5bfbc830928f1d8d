"""Prompts of tenants: each its own, by recording or by text."""

import os
from pathlib import Path

import pytest

from tests.core_world import World
from tests.prompts.test_audio import samples_of, tone
from vns.errors import InvalidAudio, InvalidRequest, NotFound, QuotaExceeded, SpeechUnavailable
from vns.prompts.rules import MAX_PROMPTS
from vns.prompts.service import Prompts


@pytest.fixture
def prompts(world: World) -> Prompts:
    return Prompts(world.db, world.clock)


async def test_a_recording_and_a_text(world: World, prompts: Prompts) -> None:
    recorded = await prompts.record(world.mall, "closed", tone(16_000, 0.5))
    spoken = await prompts.speak(world.mall, "ended", "-이 번호의 사용이 끝났습니다.")
    assert recorded.text is None
    assert recorded.seconds == pytest.approx(0.5, abs=0.01)
    assert spoken.text == "-이 번호의 사용이 끝났습니다."
    assert spoken.seconds > 1
    assert [prompt.id for prompt in await prompts.list(world.mall)] == [recorded.id, spoken.id]
    assert any(samples_of(await prompts.audio(world.mall, spoken.id)))
    await prompts.delete(world.mall, recorded.id)
    assert [prompt.id for prompt in await prompts.list(world.mall)] == [spoken.id]
    async with world.db.connection() as connection:
        rows = await connection.fetch("select event from journal where event like 'prompt.%' order by id")
    assert [row["event"] for row in rows] == ["prompt.created", "prompt.created", "prompt.deleted"]


async def test_another_tenants_prompt_is_not_there(world: World, prompts: Prompts) -> None:
    other = await world.tenant("other")
    prompt = await prompts.record(world.mall, "closed", tone(8_000, 0.5))
    await prompts.record(other, "closed", tone(8_000, 0.4))
    for asking in (prompts.get, prompts.audio, prompts.delete):
        with pytest.raises(NotFound):
            await asking(other, prompt.id)
    assert (await prompts.get(world.mall, prompt.id)).name == "closed"


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "  "])
async def test_names(world: World, prompts: Prompts, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await prompts.record(world.mall, name, tone(8_000, 0.5))


@pytest.mark.parametrize("text", ["", "가" * 501, "...", "\x00가"])
async def test_texts(world: World, prompts: Prompts, text: str) -> None:
    with pytest.raises(InvalidRequest):
        await prompts.speak(world.mall, "x", text)


async def test_a_name_is_given_once(world: World, prompts: Prompts) -> None:
    await prompts.record(world.mall, "closed", tone(8_000, 0.5))
    with pytest.raises(InvalidRequest, match="exists"):
        await prompts.record(world.mall, "closed", tone(8_000, 0.5))


async def test_a_text_that_takes_longer_than_a_minute(world: World, prompts: Prompts) -> None:
    with pytest.raises(InvalidAudio):
        await prompts.speak(world.mall, "long", "1234567890 " * 45)


async def test_a_tenant_has_so_many(world: World, prompts: Prompts) -> None:
    async with world.db.connection() as connection:
        await connection.execute(
            "insert into prompts (id, tenant_id, name, audio, seconds, created_at)"
            " select gen_random_uuid(), $1, n::text, $2, 1, now() from generate_series(1, $3) n",
            world.mall.tenant_id,
            tone(8_000, 0.1),
            MAX_PROMPTS,
        )
    with pytest.raises(QuotaExceeded):
        await prompts.record(world.mall, "one more", tone(8_000, 0.5))


async def test_without_espeak_ng(
    world: World, prompts: Prompts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    with pytest.raises(SpeechUnavailable):
        await prompts.speak(world.mall, "x", "안녕하세요")
