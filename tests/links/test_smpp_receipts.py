"""Receipts in the spellings found in the field."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_relay.links.interface import ReceiptState
from sms_relay.links.smpp.pdu import Command, Message, Tag, Tlvs
from sms_relay.links.smpp.receipts import (
    IdNotation,
    ParsedReceipt,
    ReceiptHabits,
    canonical_id,
    is_receipt,
    parse_receipt,
)

AS_IS = ReceiptHabits(IdNotation.AS_IS, IdNotation.AS_IS)
AT = datetime(2026, 11, 22, 5, 30, tzinfo=UTC)  # 14:30 in Korea


def message(text: str = "", tlvs: Tlvs | None = None, esm_class: int = 4) -> Message:
    return Message(Command.DELIVER_SM, 1, "1", "2", text.encode("latin-1"), esm_class=esm_class, tlvs=tlvs or {})


@pytest.mark.parametrize(
    ("text", "tlvs", "expected"),
    [
        pytest.param(
            "id:7F3 sub:001 dlvrd:001 submit date:2611221429 done date:2611221430 stat:DELIVRD err:000 text:hello",
            {},
            ("7f3", ReceiptState.DELIVERED, "", AT),
            id="appendix B",
        ),
        pytest.param(
            "ID:0012 SUBMIT DATE:261122142900 DONE DATE:261122143000 STAT:UNDELIV ERR:021 TEXT:",
            {},
            ("12", ReceiptState.UNDELIVERABLE, "21", AT),
            id="capitals, seconds, zeros in front",
        ),
        pytest.param(
            "id: 12 stat: EXPIRED err: 5", {}, ("12", ReceiptState.EXPIRED, "5", None), id="blanks behind colons"
        ),
        pytest.param("stat:REJECTD id:12", {}, ("12", ReceiptState.REJECTED, "", None), id="another order"),
        pytest.param(
            "id=12 done_date=20261122143000 stat=ACCEPTD",
            {},
            ("12", ReceiptState.ACCEPTED, "", AT),
            id="equals signs, underscores, four digits of the year",
        ),
        pytest.param(
            "id:12 done date:202611221430 stat:DELIVERED,", {}, ("12", ReceiptState.DELIVERED, "", AT), id="whole word"
        ),
        pytest.param("id: stat:DELIVRD err:", {}, (None, ReceiptState.DELIVERED, "", None), id="empty fields"),
        pytest.param("id:1 stat:NONSENSE", {}, ("1", ReceiptState.UNKNOWN, "", None), id="a state nobody knows"),
        pytest.param(
            "id:1 done date:9999999999 stat:DELIVRD", {}, ("1", ReceiptState.DELIVERED, "", None), id="no such date"
        ),
        pytest.param(
            "id:1 stat:UNDELIV err:3 text:id:2 stat:DELIVRD err:0",
            {},
            ("1", ReceiptState.UNDELIVERABLE, "3", None),
            id="a text that looks like fields",
        ),
        pytest.param(
            "id:1 stat:UNDELIV",
            {Tag.RECEIPTED_MESSAGE_ID: b"00AB\0", Tag.MESSAGE_STATE: b"\x02", Tag.NETWORK_ERROR_CODE: b"\x03\x00\x11"},
            ("ab", ReceiptState.DELIVERED, "17", None),
            id="parameters win",
        ),
        pytest.param("", {Tag.RECEIPTED_MESSAGE_ID: b"77"}, ("77", ReceiptState.UNKNOWN, "", None), id="id alone"),
        pytest.param(
            "id:9 stat:DELETED", {Tag.RECEIPTED_MESSAGE_ID: b"\0", Tag.MESSAGE_STATE: b"\x63"},
            ("9", ReceiptState.DELETED, "", None), id="useless parameters",
        ),
        pytest.param("Nachricht zugestellt", {}, (None, ReceiptState.UNKNOWN, "", None), id="prose"),
    ],
)  # fmt: skip
def test_spellings(text: str, tlvs: Tlvs, expected: tuple[str | None, ReceiptState, str, datetime | None]) -> None:
    assert parse_receipt(message(text, tlvs), AS_IS) == ParsedReceipt(*expected)


def test_a_receipt_written_in_ucs2() -> None:
    raw = "id:77 stat:EXPIRED err:005".encode("utf-16-be")
    receipt = Message(Command.DELIVER_SM, 1, "1", "2", raw, data_coding=8, esm_class=4)
    assert parse_receipt(receipt, AS_IS) == ParsedReceipt("77", ReceiptState.EXPIRED, "5", None)


@pytest.mark.parametrize(
    ("one", "notation", "other", "other_notation"),
    [
        ("00FF", IdNotation.AS_IS, "ff", IdNotation.AS_IS),
        ("FF", IdNotation.HEX, "0000000255", IdNotation.DECIMAL),
        ("0xff", IdNotation.HEX, "255", IdNotation.DECIMAL),
        (" 12\0", IdNotation.AS_IS, "012", IdNotation.AS_IS),
        ("0", IdNotation.AS_IS, "000", IdNotation.AS_IS),
        ("no-number", IdNotation.HEX, "NO-NUMBER", IdNotation.DECIMAL),
        ("00\xc9-1", IdNotation.AS_IS, "\xe9-1", IdNotation.HEX),
    ],
)
def test_ids_that_are_the_same(one: str, notation: IdNotation, other: str, other_notation: IdNotation) -> None:
    assert canonical_id(one, notation) == canonical_id(other, other_notation)


@given(st.text(st.characters(codec="latin-1"), max_size=90), st.sampled_from(IdNotation))
def test_every_table_holds_every_id(raw: str, notation: IdNotation) -> None:
    held = canonical_id(raw, notation)
    assert len(held) <= 80
    assert held.isascii()
    assert "\0" not in held


@given(st.integers(0, 2**64), st.integers(0, 2**64))
def test_ids_that_differ_stay_different(one: int, other: int) -> None:
    same = canonical_id(f"{one:x}", IdNotation.HEX) == canonical_id(f"{other:020d}", IdNotation.DECIMAL)
    assert same is (one == other)


@pytest.mark.parametrize(
    ("esm_class", "tlvs", "expected"),
    [(0, {}, False), (0x04, {}, True), (0x20, {}, True), (0x40, {}, False), (0x44, {}, True), (0x08, {}, False),
     (0, {Tag.RECEIPTED_MESSAGE_ID: b"1"}, True)],
)  # fmt: skip
def test_what_is_a_receipt(esm_class: int, tlvs: Tlvs, expected: bool) -> None:
    assert is_receipt(message("id:1 stat:DELIVRD", tlvs, esm_class)) is expected


@given(st.binary(max_size=254), st.dictionaries(st.sampled_from(Tag), st.binary(max_size=12)), st.integers(0, 255))
def test_any_receipt_is_read(content: bytes, tlvs: dict[Tag, bytes], coding: int) -> None:
    receipt = Message(
        Command.DELIVER_SM,
        1,
        "1",
        "2",
        content,
        coding,
        esm_class=4,
        tlvs={int(tag): value for tag, value in tlvs.items()},
    )
    parsed = parse_receipt(receipt, AS_IS)
    assert parsed.message_id is None or parsed.message_id
