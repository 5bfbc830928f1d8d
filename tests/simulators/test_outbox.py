"""The file of texts that reached a handset."""

import json
import subprocess
import sys
from collections import Counter
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


WRITER = """
import sys
from pathlib import Path
from simulators.mmsc.outbox import Outbox
from simulators.mmsc.submits import File, Submit
name = sys.argv[2]
text = File(name="1.txt", content_type="text/plain", charset="utf-8", data=name.encode() * 30_000)
submit = Submit(
    transaction_id="t", vasp_id="v", source="1", destination="2", subject="", report_wanted=False, files=(text,)
)
outbox = Outbox(Path(sys.argv[1]) / "outbox.jsonl", Path(sys.argv[1]) / name)
for number in range(200):
    outbox.add(submit, str(number), name)
outbox.close()
"""


def test_programs_that_share_the_file_leave_each_line_whole(tmp_path: Path) -> None:
    """Each line is longer than any buffer of a file."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in ("a", "b", "c")]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    with (tmp_path / "outbox.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    assert Counter(record["text"][0] for record in records) == {"a": 200, "b": 200, "c": 200}
    assert all(record["text"] == record["system_id"] * 30_000 for record in records)
