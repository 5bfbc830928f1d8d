"""The whole way of a text against an SMSC that was not written here: the npm package `smpp`."""

from typing import Any

from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.peers.conftest import NpmSmsc, node_modules, npm_smsc, read_event
from tests.relay.conftest import Stage
from vns.numbering.rules import digits_of

__all__ = ["node_modules", "npm_smsc"]


async def next_event(smsc: NpmSmsc) -> dict[str, Any]:
    """Whatever the SMSC says next."""
    return await read_event(smsc._process)


async def test_texts_refusals_and_receipts_against_another_make(stage: Stage, npm_smsc: NpmSmsc) -> None:
    pair, unproven = await stage.world.pair(), await stage.world.allocate()
    vn = digits_of(pair.vn)
    await stage.relay.start(VNS_SMPP_URL=f"smpp://vns:secret@127.0.0.1:{npm_smsc.port}")
    await npm_smsc.event("bound")

    async def deliver(source: str, destination: str, text: str) -> None:
        content = text.encode("cp949").hex()
        npm_smsc.order("deliver", **{"from": source}, to=destination, content=content, data_coding=0x0E)

    await deliver(COURIER, vn, "문 앞에 두고 갑니다")
    heard = {}
    for _ in range(2):  # the acknowledgement and the text on its way may come in either order
        event = await next_event(npm_smsc)
        heard[event["event"]] = event
    assert heard["answered"]["status"] == 0
    submit = heard["submit"]
    assert (submit["from"], submit["to"]) == (vn, CUSTOMER)
    assert bytes.fromhex(submit["content"]).decode("cp949") == "문 앞에 두고 갑니다"
    await stage.until("delivered", lambda: stage.all_final(1))

    for source, destination in ((STRANGER, vn), (STRANGER, digits_of(unproven.vn)), (COURIER, "0504999900")):
        await deliver(source, destination, "글")
        while (await next_event(npm_smsc))["event"] != "answered":
            pass
    await stage.until("three refusals", lambda: stage.all_final(4))
    assert await stage.all_statuses() == [
        ("delivered", None, "0"),
        ("refused", "not_a_party", None),
        ("failed", "sender_not_registered", "i"),
        ("refused", "unallocated", None),
    ]

    async def logged() -> bool:
        rows = await stage.log_rows()
        return [(row["CUR_STATE"], row["RSLT_CODE2"], row["CALL_FROM"]) for row in rows] == [(3, "0", vn)]

    await stage.until("the row in the log of the month", logged)
