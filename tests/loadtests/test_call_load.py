"""What is read from sipp's list of messages."""

from pathlib import Path

import pytest

from loadtests.call_load import read_setups
from loadtests.processor_time import per_call


def _line(at: str, way: str, call: str, first: str, sequence: str = "CSeq:1 INVITE") -> str:
    return "\t".join(("2026-11-25", "22:00:49.6", at, way, call, sequence, first)) + "\n"


def test_a_setup_lasts_from_the_first_invite_to_the_200(tmp_path: Path) -> None:
    log = tmp_path / "messages.log"
    log.write_text(
        _line("100.000100", "S", "1-7@h", "INVITE sip:1@h SIP/2.0")
        + _line("100.000400", "R", "1-7@h", "SIP/2.0 100 Trying")
        + _line("100.001000", "S", "2-7@h", "INVITE sip:2@h SIP/2.0")
        + _line("100.500100", "S", "1-7@h", "INVITE sip:1@h SIP/2.0")
        + _line("100.502350", "R", "1-7@h", "SIP/2.0 200 OK")
        + _line("100.502900", "R", "1-7@h", "SIP/2.0 200 OK")
        + _line("100.900000", "R", "1-7@h", "SIP/2.0 200 OK", "CSeq:2 BYE")
        + _line("101.000000", "R", "2-7@h", "SIP/2.0 410 Gone")
        + "half a li"
    )
    assert read_setups(log) == pytest.approx((502.25,))


def test_processor_time_is_shared_out_among_the_calls() -> None:
    assert per_call({"Asterisk": 1.0}, {"Asterisk": 1.5, "bridges": 0.25}, 100) == {"Asterisk": 5.0, "bridges": 2.5}
