"""Rate limits: counted in Redis for all processes, and in each process when Redis is away."""

import socket
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.limits import Local, RateLimiter
from api.metrics import HttpMetrics
from tests.api.conftest import LIMITED_MALL, MALL, Platform
from vns.errors import RateLimited

SECOND = 1_000_000


@given(
    rate=st.integers(min_value=1, max_value=500),
    gaps=st.lists(st.integers(min_value=0, max_value=2 * SECOND), max_size=200),
)
def test_in_any_stretch_of_time_no_more_pass_than_the_rate_and_one_burst(rate: int, gaps: list[int]) -> None:
    local, tenant, now, passed = Local(), uuid.uuid4(), 10 * SECOND, []
    for gap in gaps:
        now += gap
        if local.take(tenant, SECOND // rate, now) == 0:
            passed.append(now)
    for first, begun in enumerate(passed):
        for last in range(first, len(passed)):
            seconds = (passed[last] - begun) / SECOND
            assert last - first + 1 <= rate * 1.01 * seconds + rate + 1


def test_who_waits_as_long_as_told_passes() -> None:
    local, tenant = Local(), uuid.uuid4()
    waits = [local.take(tenant, SECOND // 2, 0) for _ in range(3)]
    assert waits[:2] == [0, 0]
    assert waits[2] > 0
    assert local.take(tenant, SECOND // 2, waits[2] - 1) > 0
    assert local.take(tenant, SECOND // 2, waits[2]) == 0


async def test_two_processes_count_together_in_redis(redis_url: str) -> None:
    limiters = [RateLimiter(redis_url, timeout=5, metrics=HttpMetrics()) for _ in range(2)]
    tenant = uuid.uuid4()
    outcomes = []
    for turn in range(12):
        try:
            await limiters[turn % 2].take(tenant, 4)
        except RateLimited as refusal:
            outcomes.append(refusal.retry_after)
        else:
            outcomes.append(0)
    assert outcomes[:4] == [0] * 4
    assert 1 in outcomes[4:]
    await limiters[0].take(uuid.uuid4(), 4)  # another tenant's count is its own
    for limiter in limiters:
        await limiter.close()


async def test_a_limited_tenant_is_told_to_wait_and_others_are_not(platform: Platform) -> None:
    answers = [await platform.get("/v1/bindings", key=LIMITED_MALL) for _ in range(30)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert limited
    assert limited[0].json()["code"] == "rate_limited"
    assert int(limited[0].headers["retry-after"]) >= 1
    assert (await platform.get("/v1/bindings", key=MALL)).status_code == 200


@pytest.mark.parametrize("deaf", [False, True], ids=["refused", "deaf"])
async def test_without_redis_each_process_counts_alone(deaf: bool) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if deaf:
            listener.listen()  # connections are taken by the kernel, and nobody ever answers
        metrics = HttpMetrics()
        limiter = RateLimiter(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", timeout=0.05, metrics=metrics)
        tenant = uuid.uuid4()
        await limiter.take(tenant, 2)
        await limiter.take(tenant, 2)
        with pytest.raises(RateLimited):
            await limiter.take(tenant, 2)
        assert b"vns_rate_limit_without_redis_total 3.0" in metrics.text()
        await limiter.close()
