"""The folder of Asterisk's records: reading files that are being written, and going on where it was left."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ivr.ami.records import BEGINNING, Position, RecordsFolder

NOW = datetime(2026, 3, 2, 0, 5, tzinfo=UTC)
NAMES = ["a", "seoul-1", "b.c", "20260301.csv", "../a", "..", "a/b", "한 다리", ""]


def test_reading_on_while_it_is_written(tmp_path: Path) -> None:
    folder = RecordsFolder(tmp_path)
    position = folder.start(NOW)
    assert folder.read(position) == ([], position, True)
    (tmp_path / "20260228.csv").write_text("too old\n")
    (tmp_path / "20260301.csv").write_text("one\ntwo\nhal")
    lines, position, at_end = folder.read(position)
    assert (lines, at_end) == (["one", "two"], True)
    assert folder.read(position) == ([], position, True)
    with (tmp_path / "20260301.csv").open("a") as file:
        file.write("f\n")
    (tmp_path / "20260302.csv").write_text("three\n")
    lines, position, at_end = folder.read(position)
    assert (lines, at_end) == (["half"], False), "there is a later day"
    lines, position, at_end = folder.read(position)
    assert (lines, at_end) == (["three"], True)
    assert folder.read(position) == ([], Position("20260302", 6), True)


def test_a_long_file_is_read_in_parts(tmp_path: Path) -> None:
    (tmp_path / "20260302.csv").write_text("".join(f"{number:04}\n" for number in range(1000)))
    folder, read, ends = RecordsFolder(tmp_path), [], []
    position = folder.start(NOW)
    while True:
        lines, position, at_end = folder.read(position, at_most=333)
        if not lines:
            break
        read += lines
        ends.append(at_end)
    assert read == [f"{number:04}" for number in range(1000)]
    assert ends == [False] * (len(ends) - 1) + [True], "the last part alone was no full one"


def test_everything_that_is_there_is_read_from_the_oldest_day_on(tmp_path: Path) -> None:
    for day in ("20260223", "20260227", "20260302"):
        (tmp_path / f"{day}.csv").write_text(f"{day}\n")
    (tmp_path / "notes.csv").write_text("no day's\n")
    folder, read, position = RecordsFolder(tmp_path), [], BEGINNING
    while True:
        lines, position, at_end = folder.read(position)
        read += lines
        if at_end:
            break
    assert read == ["20260223", "20260227", "20260302"]
    assert position == Position("20260302", 9), "what is named otherwise hides no days"


def test_a_folder_that_is_not_there_has_no_end(tmp_path: Path) -> None:
    """It is another machine's: nobody knows here what was written."""
    folder = RecordsFolder(tmp_path / "elsewhere")
    assert folder.read(BEGINNING) == ([], BEGINNING, False)
    assert folder.kept("a", NOW) == BEGINNING


def test_a_day_that_was_removed_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "20260227.csv").write_text("before\n")
    (tmp_path / "20260301.csv").write_text("after\n")
    assert RecordsFolder(tmp_path).read(Position("20260228", 1_000)).lines == ["after"]


@pytest.mark.parametrize("offset", [8, 9, 1_000], ids=["just behind its end", "behind its end", "far behind"])
def test_a_file_that_became_shorter_is_read_from_its_start(tmp_path: Path, offset: int) -> None:
    (tmp_path / "20260301.csv").write_text("one\ntwo")
    lines, position, _ = RecordsFolder(tmp_path).read(Position("20260301", offset))
    assert (lines, position) == (["one"], Position("20260301", 4))


def test_half_a_line_is_never_read(tmp_path: Path) -> None:
    """In another file than was read a line may stand across the position."""
    (tmp_path / "20260301.csv").write_text("first\nsecond\n")
    folder = RecordsFolder(tmp_path)
    assert folder.read(Position("20260301", 8)).lines == ["first", "second"]
    assert folder.read(Position("20260301", 6)).lines == ["second"]


@pytest.mark.parametrize("bridge", NAMES)
def test_a_bridge_finds_its_position_again(tmp_path: Path, bridge: str) -> None:
    folder = RecordsFolder(tmp_path / "records")
    folder.path.mkdir()
    for name in NAMES:
        folder.keep(name, Position("20260302", len(name)))
    folder.keep(bridge, Position("20260228", 1_234_567))
    assert folder.kept(bridge, NOW) == Position("20260228", 1_234_567)
    assert [folder.kept(name, NOW).offset for name in NAMES if name != bridge] == [
        len(name) for name in NAMES if name != bridge
    ]
    assert len(list(folder.path.iterdir())) == len(NAMES), "each has one file, and it is in the folder"
    assert list(tmp_path.iterdir()) == [folder.path]
    assert folder.read(BEGINNING) == ([], BEGINNING, True), "none of them is taken for records"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"20260301 17",
        b"20260301\n",
        b"20260301 -17\n",
        b"20260301 17\n20260302 1\n",
        b"2026-03-01 17\n",
        b"20260301 " + b"9" * 30 + b"\n",
        b"\x00" * 12,
        b"\xff 17\n",
        b"20260304 17\n",
    ],
)
def test_a_position_without_sense_is_none(tmp_path: Path, content: bytes) -> None:
    """Cut, foreign, or of days to come, for which the reading would wait."""
    (tmp_path / "a.read").write_bytes(content)
    assert RecordsFolder(tmp_path).kept("a", NOW) == BEGINNING


def test_a_position_of_an_asterisk_whose_clock_is_ahead_counts(tmp_path: Path) -> None:
    folder = RecordsFolder(tmp_path)
    folder.keep("a", Position("20260303", 5))
    assert folder.kept("a", NOW) == Position("20260303", 5)


def test_a_position_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.read").mkdir()
    folder = RecordsFolder(tmp_path)
    assert folder.kept("a", NOW) == BEGINNING
    with pytest.raises(OSError):
        folder.keep("a", Position("20260301", 0))


def test_a_position_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RecordsFolder(tmp_path)
    folder.keep("a", Position("20260301", 17))

    def full(path: Path, _: str) -> int:
        path.write_bytes(b"2026")
        raise OSError(28, "no space left")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError):
        folder.keep("a", Position("20260302", 4))
    assert folder.kept("a", NOW) == Position("20260301", 17)


def test_old_files_are_removed(tmp_path: Path) -> None:
    for name in ("20260220.csv", "20260301.csv", "20260220", "2026.csv"):
        (tmp_path / name).touch()
    RecordsFolder(tmp_path).remove_before(datetime(2026, 2, 25, tzinfo=UTC))
    assert {path.name for path in tmp_path.iterdir()} == {"20260301.csv", "20260220", "2026.csv"}


def test_positions_of_bridges_that_are_gone_are_removed(tmp_path: Path) -> None:
    folder, day = RecordsFolder(tmp_path), datetime(2026, 2, 25, tzinfo=UTC)
    for name, age in (("gone", timedelta(hours=1)), ("here", timedelta(hours=-1))):
        folder.keep(name, Position("20260220", 0))
        (tmp_path / f"{name}.read.new").touch()
        for file in (tmp_path / f"{name}.read", tmp_path / f"{name}.read.new"):
            os.utime(file, times=((day - age).timestamp(),) * 2)
    folder.remove_before(day)
    assert {path.name for path in tmp_path.iterdir()} == {"here.read", "here.read.new"}
