"""Prompts as ringback tones. Asterisk looks them up in a small database beside the prompts.

A tone is a class of music on hold with a folder of its own and one file in it. Classes come from SQLite because every
other place of theirs would have to be read anew, by all of Asterisk, for each new prompt.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

DATABASE: Final = "tones.sqlite3"
FOLDER: Final = "tones"
FILE: Final = "tone.wav"
BUSY: Final = 5.0  # seconds that another bridge may take

_SCHEMA: Final = """
create table if not exists tones (name text primary key) without rowid;
drop view if exists musiconhold;
create view musiconhold as select name, 'files' as mode, '{folder}/' || name as directory from tones;
"""
_ADD: Final = "insert or ignore into tones (name) values (?)"
_REMOVE: Final = "delete from tones where name = ?"


def prepare(prompts: Path, inside: str) -> None:
    """Make the database of one Asterisk, with the tones that are there. `inside`: `prompts` as Asterisk sees it.

    Raises OSError, sqlite3.Error.
    """
    (prompts / FOLDER).mkdir(exist_ok=True)
    with closing(sqlite3.connect(prompts / DATABASE, timeout=BUSY)) as database, database:
        database.executescript(_SCHEMA.format(folder=f"{inside}/{FOLDER}".replace("'", "''")))
        database.executemany(_ADD, [(tone.name,) for tone in (prompts / FOLDER).iterdir() if tone.is_dir()])


def is_there(prompts: Path, name: str) -> bool:
    return (prompts / FOLDER / name / FILE).is_file()


def add(prompts: Path, name: str, sound: Path) -> None:
    """`sound`: the file, on the same disk. An Asterisk that was not configured by the platform has no database, and
    plays none. Raises OSError.
    """
    place = prompts / FOLDER / name
    with _written_down(prompts, _ADD, name):
        place.mkdir(parents=True, exist_ok=True)
        if not (place / FILE).exists():
            beside = place.with_name(f".{uuid4().hex}")
            os.link(sound, beside)
            beside.rename(place / FILE)  # does nothing where another bridge was quicker: both are the same file
            beside.unlink(missing_ok=True)


def remove(prompts: Path, name: str) -> None:
    """Nothing happens where it is gone. Raises OSError."""
    place = prompts / FOLDER / name
    with _written_down(prompts, _REMOVE, name):
        (place / FILE).unlink(missing_ok=True)
        with suppress(OSError):  # gone, or somebody has put something else into it
            place.rmdir()


@contextmanager
def _written_down(prompts: Path, statement: str, name: str) -> Iterator[None]:
    """What is done inside and the row are one: whoever else adds or removes a tone waits meanwhile, else the row of one
    that is there could be missing. Raises OSError.
    """
    if not (prompts / DATABASE).exists():
        yield
        return
    try:
        with closing(sqlite3.connect(prompts / DATABASE, timeout=BUSY)) as database, database:
            database.execute(statement, (name,))
            yield
    except sqlite3.Error as error:
        raise OSError("the tones cannot be written down") from error
