"""Rules of a binding over rules of its pool."""

from uuid import UUID

from vns.routing.rules import Reason
from vns.rulebook.rules import NO_RULES, PROMPTED, Direction, Rules

ENDED, BUSY, POOLS_BUSY = UUID(int=1), UUID(int=2), UUID(int=3)


def test_a_binding_s_word_holds_over_its_pool_s_field_by_field() -> None:
    pool = Rules(ring_seconds=20, record=True, directions=frozenset({Direction.TO_PEER}), prompts={"busy": POOLS_BUSY})
    binding = Rules(ring_seconds=40, directions=frozenset({Direction.TO_REAL}), prompts={"ended": ENDED})
    assert binding.over(pool) == Rules(
        ring_seconds=40,
        record=True,
        directions=frozenset({Direction.TO_REAL}),
        prompts={"ended": ENDED, "busy": POOLS_BUSY},
    )
    assert Rules(prompts={"busy": BUSY}).over(pool).prompts == {"busy": BUSY}


def test_an_explicit_no_is_a_word_too() -> None:
    assert Rules(record=False).over(Rules(record=True)).record is False
    assert NO_RULES.over(Rules(record=True)).record is True
    assert Rules(record=True).over(NO_RULES).record is True


def test_every_refusal_may_have_words_of_its_own() -> None:
    assert {reason.value for reason in Reason} == PROMPTED
