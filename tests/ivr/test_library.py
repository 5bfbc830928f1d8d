"""Tenants' prompts as files for Asterisk: there before they are played, or not named at all."""

import asyncio
import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from ivr.prompts import library as library_module
from ivr.prompts.library import PromptLibrary
from tests.core_world import World
from tests.prompts.test_audio import tone
from vns.prompts.service import Prompts
from vns.storage.database import Database


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "one", tmp_path / "two"]
    for folder in made:
        folder.mkdir()
    return made


@pytest.fixture
def prompts(world: World) -> Prompts:
    return Prompts(world.db, world.clock)


async def test_every_asterisk_gets_the_file_and_the_name_is_its_content(
    world: World, prompts: Prompts, folders: list[Path]
) -> None:
    one = await prompts.record(world.mall, "one", tone(8_000, 0.5))
    same = await prompts.record(world.mall, "same", tone(8_000, 0.5))
    library = PromptLibrary(prompts, folders)
    names = await library.ensure({one.id, same.id, uuid4()})
    assert set(names) == {one.id, same.id}
    assert names[one.id] == names[same.id]
    for folder in folders:
        assert (folder / f"{names[one.id]}.wav").read_bytes() == await prompts.audio(world.mall, one.id)
        assert len(list((folder / "custom").iterdir())) == 1


async def test_known_prompts_need_no_database_and_lost_files_come_back(
    world: World, prompts: Prompts, folders: list[Path], database_url: str
) -> None:
    prompt = await prompts.record(world.mall, "one", tone(8_000, 0.5))
    away = await Database.open(database_url, size=1)
    library = PromptLibrary(Prompts(away, world.clock), folders)
    names = await library.ensure([prompt.id])
    shutil.rmtree(folders[1] / "custom")
    assert await library.ensure([prompt.id]) == names
    assert (folders[1] / f"{names[prompt.id]}.wav").exists()
    await away.close()
    assert await library.ensure([prompt.id]) == names
    assert await library.ensure([prompt.id, uuid4()]) == names
    (folders[0] / f"{names[prompt.id]}.wav").unlink()
    assert await library.ensure([prompt.id]) == {}, "never a name without its file"


async def test_a_deleted_prompt_is_forgotten(
    world: World, prompts: Prompts, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = await prompts.record(world.mall, "one", tone(8_000, 0.5))
    library = PromptLibrary(prompts, folders)
    assert prompt.id in await library.ensure([prompt.id])
    monkeypatch.setattr(library_module, "REMEMBERED_SECONDS", 0.0)
    fresh = PromptLibrary(prompts, folders)
    await fresh.ensure([prompt.id])
    await prompts.delete(world.mall, prompt.id)
    assert await fresh.ensure([prompt.id]) == {}


async def test_a_full_or_missing_disk_means_the_default_prompt(world: World, prompts: Prompts, tmp_path: Path) -> None:
    prompt = await prompts.record(world.mall, "one", tone(8_000, 0.5))
    assert await PromptLibrary(prompts, [tmp_path / "nowhere"]).ensure([prompt.id]) == {}


async def test_many_at_once(world: World, prompts: Prompts, folders: list[Path]) -> None:
    made = [await prompts.record(world.mall, str(number), tone(8_000, 0.2 + number / 10)) for number in range(4)]
    libraries = [PromptLibrary(prompts, folders) for _ in range(2)]
    wanted = {prompt.id for prompt in made}
    answers = await asyncio.gather(*(library.ensure(wanted) for library in libraries * 5))
    assert all(set(answer) == wanted for answer in answers)
    for folder in folders:
        assert len(list((folder / "custom").glob("*.wav"))) == 4
        assert len(list((folder / "custom").iterdir())) == 4
