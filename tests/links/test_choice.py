"""Which link a text goes out by."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_relay.links.choice import BadDirectory, Choice, Directory, PortedNumbers, load_ported, may_go_elsewhere
from sms_relay.links.interface import (
    Carrier,
    IncomingHandler,
    Outgoing,
    Reason,
    ReceiptHandler,
    SubmitOutcome,
    SubmitStatus,
)

NUMBERS = st.text("0123456789", min_size=8, max_size=12)


class Idle:
    """A link that is only looked at."""

    on_incoming: IncomingHandler | None = None
    on_receipt: ReceiptHandler | None = None

    def __init__(self, name: str, carrier: Carrier, *, window: int = 10, connected: bool = True) -> None:
        self.name = name
        self.carrier = carrier
        self.window = window
        self.connected = connected

    async def submit(self, outgoing: Outgoing) -> SubmitOutcome:
        raise AssertionError(outgoing.id)

    async def run(self) -> None:
        await asyncio.Event().wait()


@given(st.lists(st.tuples(NUMBERS, st.sampled_from(Carrier)), max_size=50), NUMBERS)
def test_the_table_of_ported_numbers_is_a_dictionary(entries: list[tuple[str, Carrier]], other: str) -> None:
    table = PortedNumbers(entries)
    expected = dict(entries)
    assert {number: table.carrier(number) for number in expected} == expected
    assert table.carrier(other) is expected.get(other)


def test_a_ported_number_goes_before_its_prefix_and_the_longest_prefix_counts(tmp_path: Path) -> None:
    file = tmp_path / "ported.csv"
    file.write_text("# moved\n\n010-2000-0001,LGT\n01020000002, KTF\n01020000002,ETC\n", encoding="utf-8")
    directory = Directory(prefixes={"010": Carrier.SKT, "0102": Carrier.KTF}, ported=load_ported(file))
    asked = ("01020000001", "01020000002", "01020000003", "01030000000", "0112345678")
    assert [directory.carrier(number) for number in asked] == [
        Carrier.LGT,
        Carrier.OTHER,
        Carrier.KTF,
        Carrier.SKT,
        None,
    ]


@pytest.mark.parametrize("number", ["0102000x001", "0102000", "０１０２００００００１"])
def test_a_bad_number_is_named_by_its_place_and_not_shown(tmp_path: Path, number: str) -> None:
    file = tmp_path / "ported.csv"
    file.write_text(f"01030000000,SKT\n{number},SKT\n", encoding="utf-8")
    with pytest.raises(BadDirectory, match="line 2") as raised:
        load_ported(file)
    assert number not in str(raised.value)


@pytest.mark.parametrize("line", ["01020000001", "01020000001,KT", "01020000001;SKT"])
def test_a_bad_line_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "ported.csv"
    file.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(BadDirectory, match="line 1"):
        load_ported(file)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadDirectory, match="FileNotFoundError"):
        load_ported(tmp_path / "none.csv")


def test_the_own_carrier_first_then_links_to_everybody_then_any() -> None:
    kt, anybody, skt = Idle("kt", Carrier.KTF), Idle("any", Carrier.OTHER), Idle("skt", Carrier.SKT)
    choice = Choice([kt, anybody, skt], Directory(prefixes={"010": Carrier.SKT}))
    assert choice.best("01020000001") is skt
    assert choice.best("01020000001", [skt]) is anybody
    skt.connected = False
    assert choice.best("01020000001", [anybody]) is kt
    assert choice.room == 20
    kt.connected = anybody.connected = False
    assert choice.best("01020000001") is None
    assert choice.room == 0


def test_equals_share_the_load_by_the_width_of_their_windows() -> None:
    narrow, wide = Idle("narrow", Carrier.SKT, window=5), Idle("wide", Carrier.SKT, window=15)
    choice = Choice([narrow, wide], Directory())
    given_to = {"narrow": 0, "wide": 0}
    for _ in range(20):
        link = choice.best("01020000001")
        assert link is not None
        choice.taken(link)
        given_to[link.name] += 1
    assert given_to == {"narrow": 5, "wide": 15}
    choice.freed(narrow)
    assert choice.best("01020000001") is narrow


@pytest.mark.parametrize(
    ("outcome", "elsewhere"),
    [
        (SubmitOutcome(status=SubmitStatus.NOT_SENT, reason=Reason.NOT_CONNECTED), True),
        (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x58, retryable=True), True),
        (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x0B), True),
        (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x08), True),
        (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x0A), False),
        (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x01), False),
        (SubmitOutcome(status=SubmitStatus.REFUSED, reason=Reason.TOO_LONG), False),
        (SubmitOutcome(status=SubmitStatus.UNKNOWN, reason=Reason.NO_ANSWER), False),
        (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x58, message_ids=("1",)), False),
        (SubmitOutcome(status=SubmitStatus.ACCEPTED, message_ids=("1",)), False),
    ],
)
def test_what_another_link_may_be_asked(outcome: SubmitOutcome, elsewhere: bool) -> None:
    assert may_go_elsewhere(outcome) is elsewhere
