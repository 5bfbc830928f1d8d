"""Several Asterisks: told apart by name, and each given what is its own."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ivr.ami.actions import Action
from ivr.ami.connection import AmiUnavailable
from ivr.ami.messages import ChannelListed, Reply
from ivr.ami.reconcile import Vanished
from ivr.ami.records import RecordsFolder
from ivr.ami.strays import Strays
from ivr.ami.supervisor import AmiSupervisor
from ivr.ami.termination import Termination
from ivr.asterisks import Asterisk, Asterisks
from ivr.bridge import _supervision
from ivr.callids import call_id_of, system_of
from ivr.nodes import NAME, Node
from ivr.settings import IvrSettings
from tests.core_world import MovedClock
from vns.calls.rules import CallOutcome
from vns.calls.service import OpenCall

NORTH, SOUTH, LONE = "north-1700000000.1", "south-1700000000.1", "1700000000.1"
URLS = ("ami://vns:vns@127.0.0.1:5038/north", "ami://vns:vns@127.0.0.1:5039/south")


def settings(**fields: Any) -> IvrSettings:
    return IvrSettings(**{"ami_urls": URLS, "call_records_dirs": (Path("n/records"), Path("s/records")), **fields})


class Ami:
    """`alive` None: away."""

    def __init__(self, *alive: str, ready: bool = True) -> None:
        self.alive = alive
        self.ready = ready
        self.hung_up: list[str] = []

    async def send(self, action: Action) -> Reply:
        if not self.ready:
            raise AmiUnavailable("away")
        if action.name == "Hangup":
            self.hung_up.append(dict(action.headers)["Channel"])
        return Reply(True, "", tuple(map(ChannelListed, self.alive)))


class OpenCalls:
    """Calls that never end by themselves."""

    def __init__(self, *channels: str) -> None:
        self.open = [OpenCall(id=call_id_of(channel), channel=channel) for channel in channels]
        self.ended: list[UUID] = []

    async def open_since(self, _: object) -> list[OpenCall]:
        return [call for call in self.open if call.id not in self.ended]

    async def to_terminate(self) -> list[OpenCall]:
        return self.open

    async def finish(self, outcomes: list[CallOutcome]) -> int:
        self.ended += [outcome.call_id for outcome in outcomes]
        return len(outcomes)


def several(**amis: Ami) -> Asterisks:
    node = Node(name=None, ami_url="", records=Path())
    return Asterisks([Asterisk(replace(node, name=name), ami) for name, ami in amis.items()])  # type: ignore[arg-type]  # fakes


@given(st.from_regex(NAME, fullmatch=True), st.integers(10**8, 10**10), st.integers(0, 10**6))
def test_a_unique_id_tells_whose_it_is(name: str, seconds: int, counter: int) -> None:
    mine = f"{name}-{seconds}.{counter}"
    assert system_of(mine) == name
    assert system_of(f"{seconds}.{counter}") == ""
    assert call_id_of(mine) != call_id_of(f"{name}x-{seconds}.{counter}")


def test_each_asterisk_has_its_folders() -> None:
    north, south = settings().nodes
    assert (north.name, south.name) == ("north", "south")
    assert south.recordings == Path("s/recordings")
    assert settings().prompt_folders == (Path("n/prompts"), Path("s/prompts"))
    assert settings().node("south") == (1, south)
    assert "vns:vns" not in repr(south) + repr(settings())


def test_the_only_one_may_have_any_name() -> None:
    alone = IvrSettings(ami_url="ami://vns:vns@127.0.0.1:5038", call_records_dir=Path("records"))
    assert alone.node(None) == alone.node("first") == (0, alone.nodes[0])
    assert alone.nodes[0].name is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"ami_urls": (URLS[0], URLS[0])},
        {"ami_urls": (URLS[0], "ami://vns:vns@127.0.0.1:5039")},
        {"ami_urls": (URLS[0], "ami://vns:vns@127.0.0.1:5039/a_b")},
        {"call_records_dirs": (Path("n"),)},
        {"call_records_dirs": (Path("n"), Path("n"))},
        {"sip_transport": "tls"},
        {"sip_media_encryption": "sdes"},
        {"sip_transport": "tls", "sip_tls_certificate": "c", "sip_tls_key": "k", "sip_tls_mutual": True},
    ],
)
def test_settings_that_do_not_fit_together(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_which_asterisk_is_to_be_configured_has_to_be_said() -> None:
    for name in (None, "west"):
        with pytest.raises(ValueError, match="north, south"):
            settings().node(name)


async def test_an_asterisk_that_is_away_keeps_no_other_from_cutting_its_calls() -> None:
    north, south = Ami(ready=False), Ami()
    calls = OpenCalls(NORTH, SOUTH, "west-1700000000.1")
    with pytest.raises(AmiUnavailable):
        await Termination("", several(north=north, south=south), calls).cut_marked()  # type: ignore[arg-type]  # a fake
    assert south.hung_up == [SOUTH]


async def test_each_asterisk_misses_its_own_calls_only() -> None:
    calls = OpenCalls(NORTH, SOUTH, LONE)
    south = Vanished(
        Ami(),  # type: ignore[arg-type]  # a fake
        calls,  # type: ignore[arg-type]  # a fake
        MovedClock(),
        bridge="a",
        caught_up=lambda: True,
        name="south",
        patience=timedelta(),
    )
    for _ in range(3):
        await south.one_round()
    assert calls.ended == [call_id_of(SOUTH)]


def test_what_an_asterisk_lost_waits_for_its_own_records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Callable[[], bool]] = {}
    reading: dict[Path, Any] = {}

    class Reading:
        def __init__(self, folder: RecordsFolder, *_: object, **__: object) -> None:
            self.caught_up = False
            reading[folder.path] = self

        async def run(self) -> None: ...

    class Missing(Reading):
        def __init__(self, *_: object, caught_up: Callable[[], bool], name: str, **__: object) -> None:
            asked[name] = caught_up

    monkeypatch.setattr("ivr.bridge.Endings", Reading)
    monkeypatch.setattr("ivr.bridge.Vanished", Missing)
    calls: Any = OpenCalls()
    recordings: Any = None  # nobody takes any away here
    for name in ("north", "south"):
        asterisk = Asterisk(Node(name=name, ami_url="", records=tmp_path / name), AmiSupervisor(""))
        termination = Termination("", Asterisks([asterisk]), calls)
        for part in _supervision(asterisk, calls, recordings, termination, MovedClock(), bridge="a"):
            part.close()
    assert not (asked["north"]() or asked["south"]())
    reading[tmp_path / "south"].caught_up = True
    assert (asked["north"](), asked["south"]()) == (False, True)


async def test_calls_of_an_asterisk_that_no_setting_names_end_some_day() -> None:
    calls = OpenCalls(NORTH, SOUTH, LONE)
    strays = Strays(several(north=Ami()).names, calls, MovedClock(), bridge="a")  # type: ignore[arg-type]  # a fake
    assert await strays.one_round() == 2
    assert calls.ended == [call_id_of(SOUTH), call_id_of(LONE)]
    only = Asterisks([Asterisk(Node(name=None, ami_url="", records=Path()), Ami())])  # type: ignore[arg-type]  # a fake
    assert await Strays(only.names, OpenCalls(NORTH), MovedClock(), bridge="a").one_round() == 0  # type: ignore[arg-type]


def test_own_calls_are_made_by_those_that_are_there_in_turn() -> None:
    north, south, away = Ami(), Ami(), Ami(ready=False)
    asterisks = several(north=north, west=away, south=south)
    made = []
    for _ in range(4):
        ami = asterisks.next_ready()
        assert ami is not None and ami is asterisks.next_ready(), "nobody's turn passes unused"
        asterisks.had_its_turn(ami)
        made.append(id(ami))
    assert made == [id(north), id(south), id(north), id(south)]
    assert several(north=away).next_ready() is None
