"""`python -m local.demo`: the story of a safe number on the running platform, with real phones and texts.

Prints each step with what every side saw. Ends with 0 when every step was right, else with 1, naming the wrong one.
"""

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ivr.settings import split_address
from local.accounts import SetupError
from local.ports import WantedPort, require_free
from local.settings import LocalSettings
from local.story import Call, Cast, StoryError, read_credentials
from simulators.phones.carrier import CallReport, PhoneFailed
from simulators.smsc.handset import HandsetError
from vns.numbering.rules import PhoneNumber, parse

CUSTOMER = "01090001111"
COURIER = "01090002222"
STRANGER = "01090003333"
LONG_TEXT = (
    "고객님, 주문하신 물건을 싣고 가는 중입니다. 경비실에 맡겨도 되는지, 아니면 문 앞에 두는 것이 좋은지 "
    "알려 주시면 그대로 하겠습니다. 도착 십 분 전에 다시 연락드리겠습니다."
)  # more than the 90 bytes of one text
UNKNOWN = "050410999999"  # the last number of the 050 pool: never given out in a demo
ENOUGH_PACKETS = 10  # of voice, each way: a fifth of a second


@dataclass
class Scene:
    """What the steps hand on to later ones, and the lines that the present step has to tell."""

    cast: Cast
    reference: str = field(default_factory=lambda: f"64{secrets.randbelow(10**10):010d}")
    one_way: str = ""
    one_way_id: str = ""
    pair: str = ""
    pair_id: str = ""
    lines: list[str] = field(default_factory=list)

    def saw(self, who: str, what: str) -> None:
        self.lines.append(f"     {who:<17} {what}")


def must(condition: bool, otherwise: str) -> None:
    if not condition:
        raise StoryError(otherwise)


def hidden(number: str, *places: str) -> None:
    """The number, with or without its leading zero, is in none of the places."""
    for place in places:
        must(number.lstrip("0") not in place, "a real number is visible to the other side")


async def allocate(scene: Scene) -> None:
    made = await scene.cast.allocate(
        mode="one_way", real_number=CUSTOMER, service="050", reference=scene.reference, ttl_seconds=1_209_600
    )
    scene.one_way, scene.one_way_id = made.virtual_number, made.id
    scene.saw("mall", f"POST /v1/bindings → 201: {show(made.virtual_number)} reaches {made.real_number}")
    must(made.virtual_number.startswith("0504"), "the number is not of the 050 pool")
    hidden(CUSTOMER, made.real_number)


async def look_up(scene: Scene) -> None:
    found = await scene.cast.delivery(scene.reference)
    scene.saw("courier company", f"GET /v1/deliveries/{scene.reference} → {show(found.virtual_number)}, {found.status}")
    must(found.virtual_number == scene.one_way, "the courier is given another number")


async def call_one_way(scene: Scene) -> None:
    call = await scene.cast.call(COURIER, scene.one_way)
    called = connected(scene, call, "courier's phone", "customer's phone", scene.one_way)
    must(number_shown(called) == COURIER, "the customer does not see who calls")
    hidden(CUSTOMER, received(call.caller))


async def allocate_pair(scene: Scene) -> None:
    made = await scene.cast.allocate(
        mode="bidirectional", real_number=CUSTOMER, peer_number=COURIER, service="070", reference=scene.reference
    )
    scene.pair, scene.pair_id = made.virtual_number, made.id
    scene.saw(
        "mall",
        f"POST /v1/bindings → 201: {show(made.virtual_number)} joins {made.real_number} and {made.peer_number}",
    )
    must(made.exposes == [], f"the pair exposes {made.exposes}")


async def call_to_customer(scene: Scene) -> None:
    await call_pair(scene, COURIER, "courier's phone", "customer's phone", hides=CUSTOMER)


async def call_to_courier(scene: Scene) -> None:
    await call_pair(scene, CUSTOMER, "customer's phone", "courier's phone", hides=COURIER)


async def call_pair(scene: Scene, caller: str, caller_name: str, called_name: str, *, hides: str) -> None:
    call = await scene.cast.call(caller, scene.pair)
    called = connected(scene, call, caller_name, called_name, scene.pair)
    must(number_shown(called) == scene.pair, "the called side does not see the safe number")
    hidden(caller, received(called))
    hidden(hides, received(call.caller))
    scene.saw("on the wire", "no SIP message to either phone carries the other's real number")


async def text_to_customer(scene: Scene) -> None:
    await text_pair(scene, COURIER, CUSTOMER, "곧 도착합니다. 문 앞에 둘까요?", "customer's phone")


async def text_to_courier(scene: Scene) -> None:
    await text_pair(scene, CUSTOMER, COURIER, "네, 문 앞에 놓아 주세요.", "courier's phone")
    await scene.cast.delivered(scene.pair_id, 2)
    scene.saw("mall", "GET /v1/messages: both texts delivered, as the carrier's receipts say")


async def long_text(scene: Scene) -> None:
    await text_pair(scene, COURIER, CUSTOMER, LONG_TEXT, "customer's phone")
    await scene.cast.delivered(scene.pair_id, 3)
    must("lms" in {one.kind for one in await scene.cast.texts_of(scene.pair_id)}, "it did not go as one long message")
    scene.saw("mall", "GET /v1/messages: one message of kind lms, delivered, as the MMSC's report says")


async def text_pair(scene: Scene, sender: str, receiver: str, text: str, receiver_name: str) -> None:
    arrived = await scene.cast.text(sender, scene.pair, text)
    scene.saw(receiver_name, f"text from {show(arrived.sender)}: {text}")
    must(arrived.sender == scene.pair, "the text does not come from the safe number")
    must(arrived.receiver == receiver, "the text went to another phone")
    hidden(sender, arrived.record)
    scene.saw("on the wire", "no message to the receiver carries the sender's real number")


async def stranger(scene: Scene) -> None:
    await refused(scene, STRANGER, "stranger's phone", scene.pair, 403)


async def unknown(scene: Scene) -> None:
    await refused(scene, COURIER, "courier's phone", UNKNOWN, 404)


async def release(scene: Scene) -> None:
    over = await scene.cast.release(scene.one_way_id)
    scene.saw("mall", f"DELETE /v1/bindings/… → 200: {over.status}")
    must(over.status == "released", "the binding is not released")
    await refused(scene, COURIER, "courier's phone", scene.one_way, 410)


async def expire(scene: Scene) -> None:
    made = await scene.cast.allocate(mode="one_way", real_number=CUSTOMER, service="050", ttl_seconds=1)
    scene.saw("mall", f"POST /v1/bindings → 201: {show(made.virtual_number)} for one second")
    await scene.cast.expired(made.id)
    scene.saw("mall", "GET /v1/bindings/… → 200: expired")
    await refused(scene, COURIER, "courier's phone", made.virtual_number, 410)


async def tidy(scene: Scene) -> None:
    over = await scene.cast.release(scene.pair_id)
    scene.saw("mall", f"DELETE /v1/bindings/… → 200: {over.status}")
    await refused(scene, CUSTOMER, "customer's phone", scene.pair, 410)


async def records(scene: Scene) -> None:
    kept = await scene.cast.call_records(scene.pair_id, 3)
    for record in kept:
        scene.saw("mall", f"GET /v1/calls: {record.result}, cause {record.cause}, {record.billed_seconds} s billed")
    must([record.result for record in kept] == ["answered", "answered", "ended"], "a record differs from the call")


STEPS: tuple[tuple[str, Callable[[Scene], Awaitable[None]]], ...] = (
    ("the mall allocates a 050 number for a customer", allocate),
    ("the courier company looks the delivery up by its waybill", look_up),
    ("the courier calls the 050 number, the customer answers", call_one_way),
    ("the mall joins customer and courier by one 070 number", allocate_pair),
    ("the courier calls the customer through it", call_to_customer),
    ("the customer calls the courier through it", call_to_courier),
    ("the courier texts the customer", text_to_customer),
    ("the customer texts back", text_to_courier),
    ("the courier writes at length: one multimedia message instead of several texts", long_text),
    ("a stranger calls the pair's number: 403", stranger),
    ("somebody calls a number that was never given out: 404", unknown),
    ("the mall releases the 050 number; the next call: 410", release),
    ("another 050 number expires by itself; the next call: 410", expire),
    ("the mall releases the pair; the next call of a party: 410", tidy),
    ("every call of the pair left a record", records),
)


def show(number: str) -> str:
    """With hyphens, for people."""
    parsed: PhoneNumber = parse(number)
    digits = parsed.digits
    if len(digits) == 8:
        return f"{digits[:4]}-{digits[4:]}"
    if len(digits) == 12:
        return f"{digits[:4]}-{digits[4:8]}-{digits[8:]}"
    return f"{digits[:3]}-{digits[3:-4]}-{digits[-4:]}"


def received(report: CallReport) -> str:
    """All that the network told a phone."""
    return "\n".join(message.text for message in report.received)


def number_shown(report: CallReport) -> str:
    """The caller that a called phone was shown."""
    invite = next(message for message in report.received if message.method == "INVITE")
    return invite.header("From").partition("sip:")[2].partition("@")[0]


def connected(scene: Scene, call: Call, caller_name: str, called_name: str, dialled: str) -> CallReport:
    """The call was answered and both heard the other's voice; returns what the called phone saw."""
    if call.caller.status != 200 or call.called is None:
        raise StoryError(f"{caller_name} dialled {show(dialled)} and got {call.caller.status}")
    scene.saw(caller_name, f"dialled {show(dialled)}: 200, heard {call.caller.heard_from(call.called)} voice packets")
    shown = number_shown(call.called)
    heard = call.called.heard_from(call.caller)
    scene.saw(called_name, f"rang, showed {show(shown)}, answered, heard {heard} voice packets")
    must(call.caller.heard_from(call.called) >= ENOUGH_PACKETS, f"{caller_name} does not hear the other side")
    must(heard >= ENOUGH_PACKETS, f"{called_name} does not hear the other side")
    return call.called


async def refused(scene: Scene, caller: str, caller_name: str, dialled: str, status: int) -> None:
    """The call gets an announcement before it is answered, then `status`, and no phone rings."""
    call = await scene.cast.call(caller, dialled)
    announcement = "an announcement, then " if call.caller.early_media else ""
    scene.saw(caller_name, f"dialled {show(dialled)}: {announcement}{call.caller.status}")
    must(call.called is None, "a phone rang all the same")
    must(call.caller.status == status, f"the call ended with {call.caller.status} instead of {status}")
    must(call.caller.early_media and call.caller.rtp_received > 0, "no announcement was heard")


async def play(settings: LocalSettings) -> None:
    """Every step in turn. Raises StoryError with the step that went wrong."""
    _, port = split_address(settings.sip_trunk)
    require_free([WantedPort(part="the demo's phones", setting="VNS_SIP_TRUNK", port=port, udp=True)])
    async with Cast(settings, read_credentials(settings)) as cast:
        scene = Scene(cast)
        print("\nThe story of a safe number", flush=True)
        for number, (title, step) in enumerate(STEPS, 1):
            scene.lines.clear()
            print(f"\n{number:>3}. {title}", flush=True)
            try:
                await step(scene)
            except (StoryError, PhoneFailed, HandsetError, OSError) as problem:
                raise StoryError(f"step {number} ({title}) went wrong: {problem}") from problem
            finally:
                print(*scene.lines, sep="\n", flush=True)
            print("     right", flush=True)
    print(f"\nAll {len(STEPS)} steps were right.\n", flush=True)


def main() -> int:
    try:
        asyncio.run(play(LocalSettings()))
    except (StoryError, SetupError) as problem:
        print(f"\nThe story failed: {problem}\n", flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
