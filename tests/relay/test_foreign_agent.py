"""The relay as a mere customer: another process serves a database that the two share, at its own pace."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sms_relay.npro.kst import KoreanClock
from tests.core_world import COURIER, CUSTOMER
from tests.npro.programs import Program, write_conf
from tests.relay.conftest import Stage
from tests.relay.keeping_smsc import KeepingSmsc
from vns.numbering.rules import digits_of

PACES = {
    "one log, moved at once": {"tran_term": 0.7, "npro_logmakemode": "SINGLE"},
    "moved within a minute": {"tran_term": 0.3, "npro_logmode": "BATCH"},
}


@pytest.mark.parametrize("pace", PACES)
async def test_texts_go_through_an_agent_that_shares_nothing_but_the_tables(
    stage: Stage, npro_url: str, keeping_smsc: KeepingSmsc, tmp_path: Path, pace: str
) -> None:
    """Two carriers' links: the relay's brings texts in, the agent's takes them out."""
    outward = KeepingSmsc()
    await outward.start()
    vn = digits_of((await stage.world.pair()).vn)
    conf = write_conf(tmp_path / "npro.conf", npro_url, outward.port, vns_carrier="LGT", **PACES[pace])
    try:
        await stage.relay.start(VNS_SMPP_URL=f"smpp://vns:secret@127.0.0.1:{keeping_smsc.port}", VNS_NPRO_AGENT="false")
        await keeping_smsc.taken(
            keeping_smsc.deliver(COURIER, vn, "에이전트보다 먼저")
        )  # nobody has made the tables yet
        async with Program(conf) as agent:
            keeping_smsc.deliver(CUSTOMER, vn, "고맙습니다")
            keeping_smsc.deliver(COURIER, vn, "긴 글 " * 60)
            await stage.until("three delivered texts", lambda: stage.all_final(3))
            assert [status for status, _, _ in await stage.all_statuses()] == ["delivered"] * 3
            assert await agent.stop() == 0
        assert keeping_smsc.submits == []
        assert {(one.source, one.destination) for one in outward.submits} == {(vn, CUSTOMER), (vn, COURIER)}
        rows = await stage.rows("MSG_DATA") + await stage.log_rows()
        assert [(row["CUR_STATE"], row["RSLT_CODE2"], row["RSLT_NET"]) for row in rows] == [(3, "0", "LGT")] * 3
        secrets = (COURIER, CUSTOMER, vn, urlsplit(npro_url).password or "")
        assert not any(secret in agent.log.read_text() for secret in secrets)
    finally:
        await outward.close()
    assert KoreanClock().now() >= max(row["RSLT_DATE"] for row in rows)
