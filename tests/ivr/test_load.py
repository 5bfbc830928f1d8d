"""For how long questions gather on a busy machine."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from ivr.load import FROM, FULLY, LONGEST, MachineLoad, gathering

SHARES = st.floats(0, 1)


def test_nobody_waits_on_a_machine_with_room() -> None:
    assert gathering(FROM) == 0


def test_nobody_waits_longer_than_that() -> None:
    assert gathering(FULLY) == gathering(1) == LONGEST


@given(SHARES, SHARES)
def test_the_busier_the_longer(one: float, other: float) -> None:
    assert gathering(min(one, other)) <= gathering(max(one, other))


async def test_what_is_told_first_is_of_before() -> None:
    told = iter([100.0, 0.0])
    seen, waits = asyncio.Event(), []

    def busy_percent() -> float:
        waits.append(load.gathering())
        try:
            return next(told)
        except StopIteration:
            seen.set()
            return 100.0

    load = MachineLoad(busy_percent)
    looking = asyncio.create_task(load.run())
    await seen.wait()
    looking.cancel()
    assert waits == [0, 0, 0]
    assert load.gathering() == LONGEST


async def test_a_machine_that_cannot_be_looked_at_counts_as_idle() -> None:
    """No file may be left to open. Calls go on."""
    asked = iter([0.0, 100.0, OSError("no file left"), OSError("no file left")])
    waits, enough = [], asyncio.Event()

    def busy_percent() -> float:
        waits.append(load.gathering())
        match next(asked, None):
            case float(told):
                return told
            case OSError() as error:
                raise error
        enough.set()
        return 100.0

    load = MachineLoad(busy_percent)
    looking = asyncio.create_task(load.run())
    await enough.wait()
    looking.cancel()
    assert waits == [0, 0, LONGEST, 0, 0]
