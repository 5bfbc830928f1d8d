"""Days as people type them."""

from datetime import datetime, timedelta
from typing import Annotated

import typer

from vns.rulebook.opening import KOREA

LastDay = Annotated[
    datetime | None,
    typer.Option("--until", formats=["%Y-%m-%d"], help="The last day on which it holds, in Korea."),
]


def end_of(last_day: datetime | None) -> datetime | None:
    """The moment at which `last_day` is over in Korea."""
    return None if last_day is None else last_day.replace(tzinfo=KOREA) + timedelta(days=1)
