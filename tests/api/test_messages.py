"""Texts that tenants send over HTTP: through their bindings, from proven senders, now or later, each with its state."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.api.conftest import COURIER, MALL, OTHER_MALL, Platform
from vns.messages.rules import Outcome, Status
from vns.numbering.rules import parse
from vns.pools.rules import Service

CUSTOMER, PEER = "010-1111-2222", "010-3333-4444"


async def pair(platform: Platform, **fields: Any) -> dict[str, Any]:
    return await platform.bind(mode="bidirectional", service="070", real_number=CUSTOMER, peer_number=PEER, **fields)


def text(binding: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"binding_id": binding["id"], "to": "real_number", "text": "배송 예정입니다.", **fields}


def outcomes(items: list[Any]) -> list[str]:
    """Of a batch: the status of what was taken, the code of what was not."""
    return [item["message"]["status"] if "message" in item else item["error"]["code"] for item in items]


async def waiting(platform: Platform) -> list[Any]:
    return list(await platform.services.messages.pending_handover())


async def problem(platform: Platform, body: Any, **more: Any) -> tuple[int, str]:
    answer = await platform.post("/v1/messages", body, **more)
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(("side", "number"), [("real_number", CUSTOMER), ("peer_number", PEER)])
async def test_a_text_goes_to_the_side_named_and_shows_the_virtual_number(
    platform: Platform, side: str, number: str
) -> None:
    binding = await pair(platform)
    answer = await platform.post("/v1/messages", text(binding, to=side))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["status"], made["binding_id"], made["send_at"]) == ("queued", binding["id"], None)
    assert made["to"] == parse(number).masked
    assert number.replace("-", "") not in answer.text
    (message,) = await waiting(platform)
    assert (message.envelope.to, message.envelope.sender) == (number.replace("-", ""), binding["virtual_number"])
    assert (await platform.get(f"/v1/messages/{made['id']}")).json() == made
    assert (await platform.get("/v1/messages")).json()["items"] == [made]


async def test_per_side_each_sees_the_number_it_would_answer_to(platform: Platform) -> None:
    binding = await platform.bind(mode="per_side", service="070", real_number=CUSTOMER, peer_number=PEER)
    for side in ("real_number", "peer_number"):
        assert (await platform.post("/v1/messages", text(binding, to=side))).status_code == 201
    shown = {message.envelope.to: message.envelope.sender for message in await waiting(platform)}
    assert shown == {"01011112222": binding["peer_virtual_number"], "01033334444": binding["virtual_number"]}


async def test_a_team_is_texted_at_its_first_member(platform: Platform) -> None:
    binding = await platform.bind(
        mode="group", service="070", real_number=CUSTOMER, members=["010-5555-0001", "010-5555-0002"]
    )
    assert (await platform.post("/v1/messages", text(binding, to="peer_number"))).status_code == 201
    (message,) = await waiting(platform)
    assert message.envelope.to == "01055550001"


async def test_a_sender_of_ones_own_is_shown_and_nobody_elses(platform: Platform) -> None:
    binding, other = await pair(platform), await platform.bind(service="070")
    relay = parse("1877-1234")
    assert (await platform.post("/v1/messages", text(binding, **{"from": other["virtual_number"]}))).status_code == 201
    assert await problem(platform, text(binding, **{"from": "1877-1234"})) == (409, "sender_not_registered")
    mall = (await platform.services.access.get_tenant(MALL)).id
    async with platform.services.database.transaction() as connection:
        await connection.execute(
            "insert into relay_numbers values ($1, $2, 'file 2', now(), 'infinity')", mall, relay.key
        )
    assert (await platform.post("/v1/messages", text(binding, **{"from": "1877-1234"}))).status_code == 201
    shown = [message.envelope.sender for message in await waiting(platform)]
    assert shown == [other["virtual_number"], "18771234"]
    theirs = await platform.bind(key=OTHER_MALL, service="070")
    wrong = text(theirs, **{"from": binding["virtual_number"]})
    assert await problem(platform, wrong, key=OTHER_MALL) == (409, "sender_not_registered")


async def test_nothing_leaves_from_a_number_without_proof(platform: Platform) -> None:
    assert await problem(platform, text(await platform.bind())) == (409, "sender_not_registered")
    assert (await platform.get("/v1/messages")).json()["items"] == []


REFUSED: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"binding_id": str(uuid4())}, (404, "not_found")),
    ({"text": ""}, (422, "invalid_request")),
    ({"text": "가" * 1_001}, (422, "invalid_request")),
    ({"text": "\ue000"}, (422, "invalid_request")),
    ({"to": "somebody"}, (422, "invalid_request")),
    ({"from": "no number"}, (422, "invalid_number")),
    ({"send_at": "2026-03-01T11:59:59Z"}, (422, "invalid_request")),
    ({"send_at": "2027-03-01T12:00:00Z"}, (422, "invalid_request")),
    ({"text": "(광고) 오늘만 반값"}, (422, "advertising_not_allowed")),
]


@pytest.mark.parametrize(("fields", "expected"), REFUSED, ids=lambda value: str(value)[:40])
async def test_what_cannot_be_sent_is_refused_with_its_code(
    platform: Platform, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert await problem(platform, text(await pair(platform), **fields)) == expected
    assert await waiting(platform) == []


async def test_bindings_that_ended_or_take_no_texts_and_blocked_recipients(platform: Platform) -> None:
    binding = await pair(platform, channels=["voice"])
    assert await problem(platform, text(binding)) == (409, "recipient_refuses")
    await platform.ask("PATCH", f"/v1/bindings/{binding['id']}", {"channels": ["sms"]})
    block = {"number": CUSTOMER, "binding_id": binding["id"], "direction": "to"}
    assert (await platform.post("/v1/blocks", block)).status_code == 201
    assert await problem(platform, text(binding)) == (409, "recipient_refuses")
    assert (await platform.post("/v1/messages", text(binding, to="peer_number"))).status_code == 201
    await platform.ask("DELETE", f"/v1/bindings/{binding['id']}")
    assert await problem(platform, text(binding, to="peer_number")) == (409, "binding_ended")
    one_way = await platform.bind(service="070")
    assert await problem(platform, text(one_way, to="peer_number")) == (422, "invalid_request")


async def test_another_tenants_texts_are_not_there(platform: Platform) -> None:
    binding = await pair(platform)
    made = (await platform.post("/v1/messages", text(binding, send_at="2026-03-01T13:00:00Z"))).json()
    assert await problem(platform, text(binding), key=OTHER_MALL) == (404, "not_found")
    path = f"/v1/messages/{made['id']}"
    assert (await platform.get(path, key=OTHER_MALL)).status_code == 404
    assert (await platform.ask("DELETE", path, key=OTHER_MALL)).status_code == 404
    assert (await platform.post("/v1/messages", text(binding), key=COURIER)).status_code == 403


async def test_a_later_text_leaves_at_its_time_and_not_before(platform: Platform) -> None:
    binding = await pair(platform)
    made = (await platform.post("/v1/messages", text(binding, send_at="2026-03-01T22:00:00+09:00"))).json()
    assert (made["status"], made["send_at"]) == ("queued", "2026-03-01T13:00:00Z")
    messages = platform.services.messages
    platform.clock.move(minutes=59)
    assert (await messages.release_due(), await waiting(platform)) == ([], [])
    platform.clock.move(minutes=1)
    (due,) = await messages.release_due()
    assert (str(due.id), due.envelope.to) == (made["id"], "01011112222")
    assert [one.id for one in await waiting(platform)] == [due.id], "found again should the process have ended"
    assert await messages.release_due() == []
    answer = await platform.ask("DELETE", f"/v1/messages/{made['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_scheduled")


async def test_a_later_text_can_be_cancelled_again_and_again(platform: Platform) -> None:
    made = (await platform.post("/v1/messages", text(await pair(platform), send_at="2026-03-02T00:00:00Z"))).json()
    for _ in range(2):
        answer = await platform.ask("DELETE", f"/v1/messages/{made['id']}")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["status"], answer.json()["reason"]) == ("failed", "cancelled")
    platform.clock.move(days=1)
    assert await platform.services.messages.release_due() == []


async def test_a_later_text_through_a_binding_that_has_ended_meanwhile_is_not_sent(platform: Platform) -> None:
    binding = await pair(platform)
    made = (await platform.post("/v1/messages", text(binding, send_at="2026-03-01T13:00:00Z"))).json()
    await platform.ask("DELETE", f"/v1/bindings/{binding['id']}")
    platform.clock.move(hours=2)
    assert await platform.services.messages.release_due() == []
    seen = (await platform.get(f"/v1/messages/{made['id']}")).json()
    assert (seen["status"], seen["reason"]) == ("refused", "ended")


async def test_the_same_key_gets_the_same_answer_and_one_text(platform: Platform) -> None:
    binding = await pair(platform)
    first = await platform.post("/v1/messages", text(binding), idempotency="one")
    again = await platform.post("/v1/messages", text(binding), idempotency="one")
    assert (first.status_code, again.status_code, first.json()) == (201, 201, again.json())
    assert len(await waiting(platform)) == 1
    mismatch = await problem(platform, text(binding, text="다른 말"), idempotency="one")
    assert mismatch == (422, "idempotency_mismatch")


async def test_a_batch_answers_each_item_and_one_bad_one_spoils_no_other(platform: Platform) -> None:
    binding, unproven = await pair(platform), await platform.bind()
    items = [text(binding), text(unproven), {"to": "real_number"}, text(binding, to="peer_number")]
    answer = await platform.post("/v1/messages/batch", {"items": items})
    assert answer.status_code == 200, answer.text
    told = [
        item["message"]["status"] if "message" in item else item["error"]["code"] for item in answer.json()["items"]
    ]
    assert told == ["queued", "sender_not_registered", "invalid_request", "queued"]
    many = {"items": [text(binding)] * 1_001}
    assert (await platform.post("/v1/messages/batch", many)).status_code == 422


async def test_a_line_sends_its_texts_of_a_day_and_no_more(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    binding, other = await pair(platform), await platform.bind(service="070")
    monkeypatch.setattr(platform.services.messages, "_daily_limit", 3)
    items = {"items": [text(binding)] * 5 + [text(other)]}
    answer = (await platform.post("/v1/messages/batch", items)).json()["items"]
    told = outcomes(answer)
    assert told == ["queued"] * 3 + ["daily_limit_reached"] * 2 + ["queued"]
    assert await problem(platform, text(binding)) == (409, "daily_limit_reached")
    platform.clock.move(hours=12)  # the next day in Korea
    assert (await platform.post("/v1/messages", text(binding))).status_code == 201


async def test_representative_numbers_are_no_ordinary_lines(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    await platform.pool("1877-5000", "1877-5009", Service.REPRESENTATIVE, name="reps", sms_sender_proof="file 3")
    binding = await platform.bind(service="1877")
    monkeypatch.setattr(platform.services.messages, "_daily_limit", 1)
    answer = (await platform.post("/v1/messages/batch", {"items": [text(binding)] * 3})).json()["items"]
    assert [item["message"]["status"] for item in answer] == ["queued"] * 3


async def test_delivered_is_what_the_receipt_says(platform: Platform) -> None:
    made = (await platform.post("/v1/messages", text(await pair(platform)))).json()
    (message,) = await waiting(platform)
    now = platform.clock.now()
    await platform.services.messages.record_result([Outcome(id=message.id, status=Status.SENT, at=now, sent_at=now)])
    path = f"/v1/messages/{made['id']}"
    assert (await platform.get(path)).json()["status"] == "sent"
    done = Outcome(id=message.id, status=Status.DELIVERED, at=now + timedelta(seconds=3), code="0")
    await platform.services.messages.record_result([done])
    seen = (await platform.get(path)).json()
    assert (seen["status"], seen["code"], seen["finished_at"]) == ("delivered", "0", "2026-03-01T12:00:03Z")


async def test_the_database_itself_holds_no_text_without_its_time(platform: Platform) -> None:
    made = (await platform.post("/v1/messages", text(await pair(platform)))).json()
    async with platform.services.database.connection() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("update messages set held = true where id = $1", made["id"])
