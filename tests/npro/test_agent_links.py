"""The agent with several links, on real tables: whose recipient goes where, and what happens when a link fails."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from sms_relay.agent.service import Agent
from sms_relay.links.choice import Directory, PortedNumbers
from sms_relay.links.interface import Carrier, Outgoing, Receipt, ReceiptState, SubmitOutcome, SubmitStatus
from sms_relay.npro.codes import ResultCode
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock
from tests.npro.agents import FAST, SENT, ScriptedLink, Submit, add, becomes, row

OF_SKT = "01020000001"
MOVED_TO_KTF = "01020000002"
DIRECTORY = Directory(prefixes={"010": Carrier.SKT}, ported=PortedNumbers([(MOVED_TO_KTF, Carrier.KTF)]))
LOST = SubmitOutcome(status=SubmitStatus.UNKNOWN)
DOWN = SubmitOutcome(status=SubmitStatus.NOT_SENT)
BUSY = SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x58, retryable=True)
NO_SUCH_NUMBER = SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x0B)
BAD_SENDER = SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x0A)


class CarrierLink(ScriptedLink):
    def __init__(self, carrier: Carrier, answer: Submit | None = None) -> None:
        super().__init__(answer)
        self.carrier = carrier
        self.name = carrier.value.lower()


def always(outcome: SubmitOutcome) -> Submit:
    async def answer(_: Outgoing) -> SubmitOutcome:
        return outcome

    return answer


@asynccontextmanager
async def serving(database: NproDatabase, links: Sequence[ScriptedLink]) -> AsyncIterator[Agent]:
    codes = {Carrier.SKT: {"12": ResultCode.POWERED_OFF}}
    agent = Agent(database, links, FAST, KoreanClock(), directory=DIRECTORY, error_codes=codes)
    task = asyncio.create_task(agent.run())
    try:
        yield agent
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_recipients_carrier_is_chosen_and_names_the_net(database: NproDatabase) -> None:
    skt, ktf = CarrierLink(Carrier.SKT), CarrierLink(Carrier.KTF)
    async with serving(database, [skt, ktf]) as agent:
        first, second = await add(database, CALL_TO=OF_SKT), await add(database, CALL_TO=MOVED_TO_KTF)
        await becomes(database, first, SENT)
        await becomes(database, second, SENT)
        assert ([one.destination for one in skt.sent], [one.destination for one in ktf.sent]) == (
            [OF_SKT],
            [MOVED_TO_KTF],
        )
        await agent.handle_receipt(_receipt(ktf, second, ReceiptState.DELIVERED, ""))
        assert await row(database, second) == (3, "0", 0, "KTF")


async def test_an_error_code_means_what_its_carrier_says(database: NproDatabase) -> None:
    skt, ktf = CarrierLink(Carrier.SKT), CarrierLink(Carrier.KTF)
    async with serving(database, [skt, ktf]) as agent:
        first, second = await add(database, CALL_TO=OF_SKT), await add(database, CALL_TO=MOVED_TO_KTF)
        await becomes(database, first, SENT)
        await becomes(database, second, SENT)
        await agent.handle_receipt(_receipt(skt, first, ReceiptState.UNDELIVERABLE, "12"))
        await agent.handle_receipt(_receipt(ktf, second, ReceiptState.UNDELIVERABLE, "12"))
        assert await row(database, first) == (3, "C", 30012, "ETC")
        assert await row(database, second) == (3, "d", 30012, "ETC")


@pytest.mark.parametrize("answer", [DOWN, BUSY, NO_SUCH_NUMBER])
async def test_what_one_link_does_not_take_another_does(database: NproDatabase, answer: SubmitOutcome) -> None:
    skt, ktf = CarrierLink(Carrier.SKT, always(answer)), CarrierLink(Carrier.KTF)
    async with serving(database, [skt, ktf]):
        seq = await add(database, CALL_TO=OF_SKT)
        await becomes(database, seq, SENT)
        assert (len(skt.sent), len(ktf.sent)) == (1, 1)


async def test_a_link_that_is_down_is_not_asked(database: NproDatabase) -> None:
    skt, ktf = CarrierLink(Carrier.SKT), CarrierLink(Carrier.KTF)
    skt.connected = False
    async with serving(database, [skt, ktf]):
        seq = await add(database, CALL_TO=OF_SKT)
        await becomes(database, seq, SENT)
        assert (len(skt.sent), len(ktf.sent)) == (0, 1)


@pytest.mark.parametrize(
    ("answer", "code", "detail", "submits"),
    [(LOST, "z", 902, 2), (BAD_SENDER, "i", 20_000 + 0x0A, 1)],
    ids=["lost, and once more", "sender"],
)
async def test_what_may_be_there_or_is_refused_for_itself_goes_nowhere_else(
    database: NproDatabase, answer: SubmitOutcome, code: str, detail: int, submits: int
) -> None:
    skt, ktf = CarrierLink(Carrier.SKT, always(answer)), CarrierLink(Carrier.KTF)
    async with serving(database, [skt, ktf]):
        seq = await add(database, CALL_TO=OF_SKT)
        await becomes(database, seq, (3, code, detail, "ETC"))
        assert (len(skt.sent), len(ktf.sent)) == (submits, 0)


async def test_of_several_refusals_the_own_carriers_counts(database: NproDatabase) -> None:
    skt, ktf = CarrierLink(Carrier.SKT, always(NO_SUCH_NUMBER)), CarrierLink(Carrier.KTF, always(BAD_SENDER))
    async with serving(database, [skt, ktf]):
        seq = await add(database, CALL_TO=OF_SKT)
        await becomes(database, seq, (3, "2", 20_000 + 0x0B, "ETC"))
        assert (len(skt.sent), len(ktf.sent)) == (1, 1)


def _receipt(link: ScriptedLink, seq: int, state: ReceiptState, error: str) -> Receipt:
    return Receipt(
        message_id=f"id-{seq}", state=state, error_code=error, carrier=link.carrier, done_at=None, link=link.name
    )
