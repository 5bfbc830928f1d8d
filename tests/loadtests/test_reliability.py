"""What the benchmarks of reliability make of logs, and how they write their page."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from loadtests.call_load import CALLER
from loadtests.report import write_part
from loadtests.soak import _made, _turned
from loadtests.steady_load import Running, SteadyLoad

NUMBERS = [("050410000000", "0103"), ("050410000001", "0104"), ("050410000002", "0105")]


@pytest.mark.parametrize(("wanted", "size"), [(6, 2), (7, 7), (10, 5), (2, 1)])
def test_parts_of_a_run_call_as_often_as_is_counted(wanted: int, size: int) -> None:
    called: Counter[tuple[str, str]] = Counter()
    for start in range(0, wanted, size):
        turned = _turned(NUMBERS, start)
        called.update(turned[place % len(turned)] for place in range(size))
    assert called == Counter({pair: count for pair, count in _made(NUMBERS, wanted).items() if count})


def test_calls_without_a_note_of_their_end_are_lost(tmp_path: Path) -> None:
    log = tmp_path / "load.log"
    log.write_text("done 1\ndone 2\ndone 5\nsome other line\n")
    with subprocess.Popen(["true"]) as process:
        carried = Running(process, log, total=6, rate=2).ended()
    assert carried.calls == 6
    assert carried.lost == (1.0, 1.5, 2.5)


def test_no_log_at_all_means_every_call_was_lost(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        assert len(Running(process, tmp_path / "none.log", total=4, rate=2).ended().lost) == 4


def test_the_callers_scenario_notes_its_end(tmp_path: Path) -> None:
    SteadyLoad(tmp_path, NUMBERS, asterisk=5060, port=5061, rate=1, call_seconds=2.5)
    scenario = (tmp_path / "caller.xml").read_text()
    assert scenario.count("done [call_number]") == 1
    assert '<pause milliseconds="2500"/>' in scenario
    assert len(scenario.splitlines()) == len(CALLER.splitlines())
    assert (tmp_path / "numbers.csv").read_text().splitlines()[1] == "050410000000;0103"


def test_a_part_of_a_page_is_put_in_place_of_its_former_self(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    write_part("one", "first", page=page)
    write_part("two", "second \\1", page=page)
    write_part("one", "third", page=page)
    assert page.read_text() == (
        "# Page\n\n<!-- bench:one -->\nthird\n<!-- /bench:one -->\n\n"
        "<!-- bench:two -->\nsecond \\1\n<!-- /bench:two -->\n"
    )
