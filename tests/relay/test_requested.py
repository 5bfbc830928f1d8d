"""Texts that tenants ask for, from the record on: the relay hears of them, waits for their time, and reports."""

from datetime import UTC, datetime, timedelta

from tests.relay.conftest import Stage
from tests.relay.keeping_smsc import KeepingSmsc
from vns.bindings.rules import Side
from vns.messages.rules import NewText
from vns.numbering.rules import digits_of


async def test_a_text_asked_for_reaches_the_handset_at_its_time(stage: Stage, keeping_smsc: KeepingSmsc) -> None:
    pair = await stage.world.pair()
    await stage.relay.start(VNS_SMPP_URL=f"smpp://vns:secret@127.0.0.1:{keeping_smsc.port}")
    later = datetime.now(UTC) + timedelta(seconds=3)
    stage.world.clock.time = datetime.now(UTC)
    for number, send_at in enumerate((None, later)):
        text = NewText(binding_id=pair.id, to=Side.REAL, text=f"글 {number}", send_at=send_at)
        await stage.messages.send(stage.world.mall, text)

    await stage.until("both delivered", lambda: stage.all_final(2))
    shown = {message.id: message for message in await stage.listed()}
    assert {message.status for message in shown.values()} == {"delivered"}
    scheduled = next(message for message in shown.values() if message.send_at is not None)
    assert scheduled.sent_at is not None
    assert scheduled.sent_at >= later.replace(microsecond=0)
    assert [(submit.source, submit.destination) for submit in keeping_smsc.submits] == [
        (digits_of(pair.vn), "01011112222")
    ] * 2
