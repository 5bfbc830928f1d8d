"""Ranges of numbers and how full they are, from what the worker counted last."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from api.console.charts import Series, lines, share_bar
from api.console.pages import Page
from api.console.permissions import May
from api.console.rendering import KST
from api.console.visit import Visit, identifier
from vns.errors import InvalidRequest
from vns.pools.occupancy import Sample
from vns.pools.rules import Pool, PoolChange, Proof

SHOWN: Final = timedelta(days=1)
MOST_POINTS: Final = 96  # of a line


@dataclass(frozen=True, slots=True)
class Shown:
    """`share`: the pool as one bar; `course`: how its live numbers went; both None where nothing was counted yet."""

    pool: Pool
    sample: Sample | None
    share: Markup | None
    course: Markup | None


NOTHING: Final = {"pool": "", "proof": "", "until": ""}
WRONG_PROOF: Final = "증빙 문서가 무엇인지 200자 안으로 적고, 날짜를 넣는다면 오늘 이후로 입력해 주세요."


async def pools(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, *, error: str | None = None, typed: dict[str, str] = NOTHING) -> Response:
    services = visit.services
    everything = visit.may(May.OPERATE)
    found = await services.pools.list(None if everything else visit.about.id)
    samples = await services.occupancy.latest([pool.id for pool in found])
    now = services.clock.now()
    since = now - SHOWN
    shown = [
        Shown(pool, sample, _share(pool, sample), _course(pool, await services.occupancy.since(pool.id, since)))
        if (sample := samples.get(pool.id)) is not None
        else Shown(pool, None, None, None)
        for pool in found
    ]
    return visit.page(
        "pools.html",
        status=422 if error else 200,
        pools=shown,
        unshown=[pool.name for pool in found if not pool.may_be_shown(now)],
        now=now,
        typed=typed,
        error=error,
    )


async def proof(visit: Visit) -> Response:
    """File or withdraw what proves that the numbers of a pool may be shown on calls."""
    typed = {name: visit.text(name) for name in NOTHING}
    change = PoolChange(withdraw_proofs=frozenset({Proof.VOICE}))
    try:
        if not visit.text("withdraw"):
            change = PoolChange(voice_proof=typed["proof"], voice_proof_until=_end_of(typed["until"]))
        await visit.services.pools.change(visit.actor, identifier(typed["pool"]), change)
    except InvalidRequest:
        return await _page(visit, error=WRONG_PROOF, typed=typed)
    return visit.to("/pools", done="saved")


def _end_of(last_day: str) -> datetime | None:
    """The moment at which a day is over in Korea; None for none. Raises InvalidRequest."""
    if not last_day:
        return None
    try:
        return datetime.strptime(last_day, "%Y-%m-%d").replace(tzinfo=KST) + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest("a day is written as 2030-01-31") from error


def _share(pool: Pool, sample: Sample) -> Markup:
    counts = sample.counts
    parts = (("사용중", "a", counts.live), ("휴지", "c", counts.quarantined), ("비어 있음", "d", counts.free))
    return share_bar(f"{pool.name} 점유", [Series(title, colour, (float(value),)) for title, colour, value in parts])


def _course(pool: Pool, samples: list[Sample]) -> Markup | None:
    if len(samples) < 2:
        return None
    every = -(-len(samples) // MOST_POINTS)
    kept = samples[::-every][::-1]
    labels = [f"{sample.at.astimezone(KST):%H:%M}" for sample in kept]
    live = tuple(float(sample.counts.live) for sample in kept)
    resting = tuple(float(sample.counts.quarantined) for sample in kept)
    series = [Series("사용중", "a", live), Series("휴지", "b", resting)]
    return lines(f"{pool.name} 최근 24시간 점유 추이", labels, series, max(*live, *resting, 1.0))


PAGES: Final = (
    Page(path="/pools", view=pools, needs=May.SEE_POOLS),
    Page(path="/pools/proof", view=proof, needs=May.OPERATE, method="POST"),
)
