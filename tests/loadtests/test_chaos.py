"""The chaos of texts in small: some hundred while everything is killed once, and a checker that finds breaches."""

from random import Random

import pytest

from loadtests import bench_servers, text_history
from loadtests.chaos import FAULTS, history_of, stand

ROW = text_history.Row(npro_id=7, status="delivered", reason=None)
GOOD = text_history.History(count=1, submits={0: 1}, rows={0: (ROW,)}, logged={7: 1})


def test_a_good_history_has_no_breach() -> None:
    assert text_history.check(GOOD) == []


@pytest.mark.parametrize(("name", "bad"), text_history.plant(GOOD), ids=lambda value: str(value)[:40])
def test_every_breach_is_found(name: str, bad: text_history.History) -> None:
    assert text_history.check(bad), name


@pytest.mark.slow
def test_hundreds_of_texts_while_everything_is_killed() -> None:
    with bench_servers.folder() as place, stand(place, on_mariadb=False) as at:
        history = history_of(at, 400, FAULTS, Random(1), (0.1, 0.5))
        assert set(at.done) == set(FAULTS)
    assert text_history.check(history) == []
