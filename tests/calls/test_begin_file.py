"""The file of begun calls: what a line holds, and what becomes of the file when something is in the way."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from uuid import UUID, uuid4

import pytest

from tests.calls.begin_parts import NAME, a_begin, lines, records
from tests.core_world import World
from tests.waiting import until
from vns.calls import begins as module
from vns.calls.begins import Begin, BeginFile, Begins


async def test_a_line_that_found_no_room_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, whole = BeginFile(tmp_path / NAME), os.write
    first, second, third = a_begin(), a_begin(), a_begin()
    file.append(first)
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda descriptor, data: whole(descriptor, data[:20]))
        with pytest.raises(OSError, match="no room"):
            file.append(second)
    file.append(third)
    assert lines(tmp_path) == [first, third]
    file.close()


def test_a_line_says_all_of_it(tmp_path: Path) -> None:
    full = a_begin(
        tenant_id=uuid4(),
        binding_id=uuid4(),
        from_index=b"\x00" * 16,
        from_masked="010-****-4444",
        to_index=b"\xff" * 16,
        to_masked="010-****-2222",
        caller=b"sealed",
        missed_call_text=True,
        result="in_progress",
        cause=None,
        from_copy=True,
    )
    for begin in (full, a_begin()):
        assert Begin.parse(begin.line()) == begin
        assert b"\n" not in begin.line()
    assert (full._replace(result="busy").line() == full.line()) is False


def test_a_line_of_an_older_version_is_read() -> None:
    """They held what copies had connected alone."""
    older = json.loads(a_begin(direction="to_real", result="in_progress", cause=None).line())
    for name in ("result", "cause", "missed_call_text", "caller", "from_copy"):
        del older[name]
    begin = Begin.parse(json.dumps(older).encode())
    assert (begin.result, begin.direction, begin.from_copy, begin.caller) == ("in_progress", "to_real", True, None)


def test_a_line_that_was_cut_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = BeginFile(tmp_path / NAME)
    whole = a_begin().line()
    (tmp_path / NAME).write_bytes(b'{"id": "x"}\n{"id"\n[1]\n' + whole + b"\n" + whole[:50])
    begins, size = file.read()
    assert [begin.line() for begin in begins] == [whole]
    assert caplog.text.count("not written down whole") == 3
    assert file.read(size) == ([], 0)
    with pytest.raises(ValueError, match="begin of a call"):
        Begin.parse(b"{}")


def test_half_a_line_does_not_take_the_next_one_along(tmp_path: Path) -> None:
    path, begin = tmp_path / NAME, a_begin()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(a_begin().line()[:50])
    file = BeginFile(path)
    file.append(begin)
    file.close()
    assert file.read()[0] == [begin]


async def test_a_file_is_one_process_s_alone(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "OWN_EVERY", 0)
    leaving, coming = (Begins(world.db, BeginFile(tmp_path / NAME)) for _ in range(2))
    await leaving.own_file()
    await leaving.own_file()
    owning = asyncio.create_task(coming.own_file())

    async def told() -> bool:
        return "not ended yet" in caplog.text

    await until(told)
    assert not owning.done()
    await leaving.close()
    await owning
    assert caplog.text.count("not ended yet") == 1
    await coming.close()


KEEPS_UNTIL_KILLED = """
    import sys
    from pathlib import Path
    from uuid import uuid4
    from vns.calls.begins import Begin, BeginFile

    file, begin = BeginFile(Path(sys.argv[1])), Begin.parse(sys.argv[2].encode())
    while True:
        one = begin._replace(id=uuid4())
        file.append(one)
        print(one.id, flush=True)
"""


def keep_until_killed(path: Path) -> set[UUID]:
    """What was said to be kept."""
    said: set[UUID] = set()
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", dedent(KEEPS_UNTIL_KILLED), str(path), a_begin().line().decode()],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            said.update(UUID(process.stdout.readline().strip()) for _ in range(50))
            process.kill()
            said.update(UUID(line) for line in process.stdout.read().splitlines() if len(line) == 36)
    return said


async def test_what_was_kept_before_a_kill_is_in_the_file(world: World, tmp_path: Path) -> None:
    """kill -9 between any two steps."""
    said = await asyncio.to_thread(keep_until_killed, tmp_path / NAME)
    await Begins(world.db, BeginFile(tmp_path / NAME)).write_file()
    assert said <= set(await records(world))
    assert len(said) >= 250


async def test_who_does_not_let_go_of_the_file_keeps_the_other_from_starting(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OWN_WITHIN", 0)
    there, coming = (Begins(world.db, BeginFile(tmp_path / NAME)) for _ in range(2))
    await there.own_file()
    with pytest.raises(BlockingIOError):
        await coming.own_file()
    await there.close()
