"""Tenants' prompts as files for Asterisk: there before they are played, or not named at all."""

import asyncio
import os
import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from ivr.prompts import library as library_module
from ivr.prompts import tones
from ivr.prompts.library import PromptLibrary
from tests.core_world import World
from tests.prompts.test_audio import tone
from tests.waiting import until
from vns.errors import Unavailable
from vns.prompts import service as service_module
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


def let_age(folders: list[Path]) -> None:
    """As if all sounds had been written two hours ago."""
    for folder in folders:
        for path in (*(folder / "custom").iterdir(), *(folder / "tones").iterdir()):
            before = path.stat().st_mtime - 2 * library_module.SPARED_SECONDS
            os.utime(path, (before, before))


def sounds_in(folder: Path) -> set[str]:
    """What is there as a prompt and as a tone."""
    files = {f"custom/{path.stem}" for path in (folder / "custom").iterdir()}
    assert files == {
        f"custom/{path.name}" for path in (folder / "tones").iterdir() if tones.is_there(folder, path.name)
    }
    return files


async def test_a_sound_goes_when_no_prompt_has_had_it_for_two_looks(
    world: World, prompts: Prompts, folders: list[Path]
) -> None:
    gone = await prompts.record(world.mall, "gone", tone(8_000, 0.5))
    twice = [await prompts.record(world.mall, name, tone(8_000, 0.4)) for name in ("one", "same")]
    late = await prompts.record(world.mall, "late", tone(8_000, 0.3))
    library = PromptLibrary(prompts, folders)
    names = await library.ensure([gone.id, twice[0].id])
    let_age(folders)
    names |= await library.ensure([late.id])
    await library.remove_unused()
    for prompt in (gone, twice[0], late):
        await prompts.delete(world.mall, prompt.id)
    await library.remove_unused()
    assert [sounds_in(folder) for folder in folders] == [set(names.values())] * 2, "a call may just be about to play it"
    await library.remove_unused()
    left = {names[twice[0].id], names[late.id]}
    assert [sounds_in(folder) for folder in folders] == [left] * 2, "one that a prompt still has, and a new one"
    again = await prompts.record(world.mall, "gone", tone(8_000, 0.5))
    assert await library.ensure([again.id]) == {again.id: names[gone.id]}
    assert [sounds_in(folder) for folder in folders] == [left | {names[gone.id]}] * 2


async def test_many_prompts_are_looked_through(
    world: World, prompts: Prompts, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "IDS_AT_ONCE", 2)
    monkeypatch.setattr(library_module, "NAMED_AT_ONCE", 2)
    made = {(await prompts.record(world.mall, str(number), tone(8_000, 0.2 + number / 10))).id for number in range(4)}
    assert await prompts.ids() == made
    library = PromptLibrary(prompts, folders)
    names = await library.ensure(made)
    let_age(folders)
    for _ in range(3):
        await library.remove_unused()
    assert [sounds_in(folder) for folder in folders] == [set(names.values())] * 2


async def test_what_is_no_sound_of_a_prompt_stays(prompts: Prompts, folders: list[Path]) -> None:
    for name in ("custom/own.wav", "tones/own/tone.wav", "ended.wav"):
        path = folders[0] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF")
    let_age(folders[:1])
    library = PromptLibrary(prompts, folders)
    for _ in range(3):
        await library.remove_unused()
    assert {str(path.relative_to(folders[0])) for path in folders[0].rglob("*.wav")} == {
        "custom/own.wav",
        "tones/own/tone.wav",
        "ended.wav",
    }


async def test_without_the_database_no_sound_goes(
    world: World, prompts: Prompts, folders: list[Path], database_url: str
) -> None:
    prompt = await prompts.record(world.mall, "one", tone(8_000, 0.5))
    away = await Database.open(database_url, size=1)
    library = PromptLibrary(Prompts(away, world.clock), folders)
    names = await library.ensure([prompt.id])
    let_age(folders)
    await prompts.delete(world.mall, prompt.id)
    await library.remove_unused()
    await away.close()
    with pytest.raises(Unavailable):
        await library.remove_unused()
    assert [sounds_in(folder) for folder in folders] == [set(names.values())] * 2


async def test_a_bridge_looks_again_and_again(
    world: World, prompts: Prompts, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = await prompts.record(world.mall, "one", tone(8_000, 0.5))
    library = PromptLibrary(prompts, folders)
    await library.ensure([prompt.id])
    let_age(folders)
    await prompts.delete(world.mall, prompt.id)
    monkeypatch.setattr(library_module, "LOOK_EVERY", 0.01)
    looking = asyncio.create_task(library.run())

    async def all_gone() -> bool:
        return not any(path for folder in folders for path in folder.rglob("*.wav"))

    try:
        await until(all_gone)
        assert not looking.done()
    finally:
        looking.cancel()
        await asyncio.wait([looking])
