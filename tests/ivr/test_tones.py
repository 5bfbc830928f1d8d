"""Ringback tones, as Asterisk looks them up."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ivr.prompts import tones

NAME, OTHER = "a" * 64, "b" * 64


def looked_up(prompts: Path, name: str) -> list[tuple[str, str]]:
    """The statement of res_config_sqlite3."""
    with closing(sqlite3.connect(prompts / tones.DATABASE)) as database:
        return list(database.execute('select mode, directory from "musiconhold" where "name" = ?', (name,)))


def sound(prompts: Path) -> Path:
    file = prompts / "sound.wav"
    file.write_bytes(b"RIFF")
    return file


def test_a_tone_is_a_class_with_a_folder_of_its_own(tmp_path: Path) -> None:
    tones.prepare(tmp_path, "/srv/it's/prompts")
    assert not tones.is_there(tmp_path, NAME)
    for _ in range(2):
        tones.add(tmp_path, NAME, sound(tmp_path))
    assert tones.is_there(tmp_path, NAME)
    assert looked_up(tmp_path, NAME) == [("files", f"/srv/it's/prompts/tones/{NAME}")]
    assert [file.name for file in (tmp_path / "tones" / NAME).iterdir()] == ["tone.wav"]
    assert looked_up(tmp_path, "other") == []


def test_tones_outlive_the_database(tmp_path: Path) -> None:
    tones.prepare(tmp_path, "/one")
    tones.add(tmp_path, NAME, sound(tmp_path))
    (tmp_path / tones.DATABASE).unlink()
    tones.prepare(tmp_path, "/two")
    assert looked_up(tmp_path, NAME) == [("files", f"/two/tones/{NAME}")]
    shutil.rmtree(tmp_path / "tones")
    assert not tones.is_there(tmp_path, NAME)


def test_an_asterisk_that_somebody_else_configured_has_no_database(tmp_path: Path) -> None:
    tones.add(tmp_path, NAME, sound(tmp_path))
    assert tones.is_there(tmp_path, NAME)
    assert not (tmp_path / tones.DATABASE).exists()


def test_a_tone_is_removed_with_its_row_and_may_come_back(tmp_path: Path) -> None:
    tones.prepare(tmp_path, "/srv")
    for name in (NAME, OTHER):
        tones.add(tmp_path, name, sound(tmp_path))
    for _ in range(2):
        tones.remove(tmp_path, NAME)
    assert looked_up(tmp_path, NAME) == []
    assert [place.name for place in (tmp_path / "tones").iterdir()] == [OTHER]
    assert looked_up(tmp_path, OTHER) == [("files", f"/srv/tones/{OTHER}")]
    tones.add(tmp_path, NAME, sound(tmp_path))
    assert tones.is_there(tmp_path, NAME)
    assert looked_up(tmp_path, NAME) == [("files", f"/srv/tones/{NAME}")]


def test_a_tone_is_removed_where_there_is_no_database(tmp_path: Path) -> None:
    tones.add(tmp_path, NAME, sound(tmp_path))
    tones.remove(tmp_path, NAME)
    assert list((tmp_path / "tones").iterdir()) == []
    assert not (tmp_path / tones.DATABASE).exists()


def test_files_and_rows_change_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another bridge adds or removes a tone nothing of it is touched: the row of one that is there might go."""
    tones.prepare(tmp_path, "/srv")
    tones.add(tmp_path, NAME, sound(tmp_path))
    monkeypatch.setattr(tones, "BUSY", 0.0)
    with closing(sqlite3.connect(tmp_path / tones.DATABASE, isolation_level=None)) as another:
        another.execute("begin immediate")
        with pytest.raises(OSError, match="cannot be written down"):
            tones.remove(tmp_path, NAME)
        with pytest.raises(OSError, match="cannot be written down"):
            tones.add(tmp_path, OTHER, sound(tmp_path))
    assert tones.is_there(tmp_path, NAME)
    assert not (tmp_path / "tones" / OTHER).exists()
