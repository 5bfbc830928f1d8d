"""A long text through the relay as a process, with an MMSC: one multimedia message, whose report makes it final."""

from collections.abc import Callable
from pathlib import Path

from tests.core_world import COURIER, CUSTOMER
from tests.relay.conftest import Stage
from tests.relay.keeping_smsc import KeepingSmsc
from tests.simulators.mmsc import mmsc
from vns.numbering.rules import digits_of


async def test_a_long_text_leaves_by_mm7_where_there_is_such_a_link(
    stage: Stage, keeping_smsc: KeepingSmsc, tmp_path: Path, new_port: Callable[[], int]
) -> None:
    vn, listen = digits_of((await stage.world.pair()).vn), new_port()
    body = "배송 안내: 똠방각하 님의 물건을 경비실에 맡겼습니다. " * 8
    async with mmsc(tmp_path, f"http://127.0.0.1:{listen}/mm7/mm7") as centre:
        await stage.relay.start(
            VNS_SMPP_URL=f"smpp://vns:secret@127.0.0.1:{keeping_smsc.port}",
            VNS_MM7_URL=centre.url,
            VNS_MM7_LISTEN=f"127.0.0.1:{listen}",
        )
        await keeping_smsc.taken(*keeping_smsc.deliver_parts(COURIER, vn, body))
        await stage.until("its end", lambda: stage.all_final(1))
        assert [(one.kind, one.status) for one in await stage.listed()] == [("lms", "delivered")]
        assert [(one["from"], one["to"], one["text"]) for one in centre.outbox] == [(vn, CUSTOMER, body)]
        assert keeping_smsc.submits == []
        assert await stage.relay.stop() == 0, stage.relay.log.read_text()
