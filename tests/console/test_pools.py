"""The page of number ranges: what proves them, and who may say so."""

from datetime import UTC, datetime

from tests.console.conftest import Console
from tests.core_world import COURIER
from vns.numbering.rules import digits_of
from vns.pools.rules import PoolChange, Proof
from vns.users.rules import Role

NOTE = "발신번호 표시 증빙이 없는 대역이 있습니다"


async def test_an_operator_files_and_withdraws_what_proves_a_pool(console: Console) -> None:
    pools, safe = console.world.pools, await console.world.pools.get("safe")
    browser = await console.login(Role.OPERATOR)
    page = (await browser.get("/pools")).text
    assert NOTE not in page
    assert "file 2" in page
    form = {"pool": str(safe.id)}
    assert (await browser.post("/pools/proof", {**form, "withdraw": "1"})).status_code == 303
    assert (await pools.get("safe")).voice_proof is None
    page = (await browser.get("/pools")).text
    assert NOTE in page and "증빙 없음" in page
    for wrong in ({"proof": ""}, {"proof": "x", "until": "2020-01-01"}, {"proof": "x", "until": "tomorrow"}):
        answer = await browser.post("/pools/proof", {**form, **wrong})
        assert answer.status_code == 422
    assert (await pools.get("safe")).voice_proof is None
    filed = await browser.post("/pools/proof", {**form, "proof": "공문 7", "until": "2099-12-31"})
    assert filed.status_code == 303
    after = await pools.get("safe")
    assert (after.voice_proof, after.voice_proof_until) == ("공문 7", datetime(2099, 12, 31, 15, tzinfo=UTC))
    assert NOTE not in (await browser.get("/pools")).text


async def test_nobody_of_a_mall_may(console: Console) -> None:
    safe = await console.world.pools.get("safe")
    browser = await console.login(Role.MALL_ADMIN)
    page = (await browser.get("/pools")).text
    assert "표시 가능" in page
    assert "file 2" not in page and "/pools/proof" not in page
    answer = await browser.post("/pools/proof", {"pool": str(safe.id), "withdraw": "1"})
    assert answer.status_code == 403
    assert (await console.world.pools.get("safe")).voice_proof == "file 2"


async def test_why_tells_that_no_number_is_shown(console: Console) -> None:
    world = console.world
    pair = await world.pair()
    voip = await world.pools.get("voip")
    await world.pools.change("test", voip.id, PoolChange(withdraw_proofs=frozenset({Proof.VOICE})))
    browser = await console.login(Role.MALL_ADMIN)
    await browser.get("/why")
    page = (await browser.post("/why", {"number": digits_of(pair.vn), "caller": COURIER})).text
    for words in ("표시하지 않음", "번호 대역의 증빙이 없어", "발신번호를 표시하지 않습니다."):
        assert words in page
