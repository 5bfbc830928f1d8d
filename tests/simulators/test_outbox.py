"""The file of texts that reached a handset."""

from pathlib import Path
from stat import S_IMODE

import pytest

from simulators.smsc.outbox import Outbox
from sms_relay.links.smpp.text import Alphabet


@pytest.mark.parametrize("there_before", [False, True])
def test_only_its_owner_reads_the_texts(tmp_path: Path, *, there_before: bool) -> None:
    file = tmp_path / "outbox.jsonl"
    if there_before:
        file.touch(mode=0o644)
        file.chmod(0o644)
    Outbox(file, Alphabet.CP949).close()
    assert S_IMODE(file.stat().st_mode) == 0o600
