"""Prompts over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api.conftest import COURIER, MALL, OPERATOR, OTHER_MALL, Platform
from tests.prompts.test_audio import samples_of, tone
from vns.prompts.audio import MAX_BYTES

WAV = {"content-type": "audio/wav"}


async def upload(platform: Platform, data: bytes, name: str = "closed", **headers: str) -> tuple[int, dict[str, Any]]:
    answer = await platform.client.post(
        "/v1/prompts",
        params={"name": name},
        content=data,
        headers={"authorization": f"Bearer {platform.keys[MALL]}", **WAV, **headers},
    )
    return answer.status_code, answer.json()


async def test_a_text_is_spoken(platform: Platform) -> None:
    made = await platform.post("/v1/prompts", {"name": "ended", "text": "배송이 끝났습니다."})
    assert made.status_code == 201, made.text
    prompt = made.json()
    assert set(prompt) == {"id", "name", "text", "seconds", "bytes", "created_at"}
    heard = await platform.get(f"/v1/prompts/{prompt['id']}/audio")
    assert heard.headers["content-type"] == "audio/wav"
    assert len(heard.content) == prompt["bytes"]
    assert len(samples_of(heard.content)) == pytest.approx(prompt["seconds"] * 8_000, abs=8)


async def test_a_recording_is_kept_listed_and_deleted(platform: Platform) -> None:
    status, prompt = await upload(platform, tone(44_100, 0.5, channels=2))
    assert (status, prompt["name"], prompt["text"]) == (201, "closed", None)
    assert (await platform.get(f"/v1/prompts/{prompt['id']}")).json() == prompt
    assert (await platform.get("/v1/prompts")).json() == {"items": [prompt]}
    assert (await platform.get("/v1/prompts", key=OTHER_MALL)).json() == {"items": []}
    assert (await platform.ask("DELETE", f"/v1/prompts/{prompt['id']}")).status_code == 204
    assert (await platform.ask("DELETE", f"/v1/prompts/{prompt['id']}")).json()["code"] == "not_found"


async def test_another_tenants_prompt_is_not_found(platform: Platform) -> None:
    _, prompt = await upload(platform, tone(8_000, 0.5))
    for key in (OTHER_MALL, OPERATOR):
        for method, path in (("GET", ""), ("GET", "/audio"), ("DELETE", "")):
            answer = await platform.ask(method, f"/v1/prompts/{prompt['id']}{path}", key=key)
            assert answer.json()["code"] == "not_found"
    assert (await platform.get("/v1/prompts", key=COURIER)).json()["code"] == "forbidden"
    assert (await platform.get(f"/v1/prompts/{uuid4()}")).status_code == 404


async def test_a_recording_may_be_larger_than_other_bodies_and_not_larger_than_allowed(platform: Platform) -> None:
    longest = tone(16_000, 59.0)
    assert 1_048_576 < len(longest) <= MAX_BYTES
    assert (await upload(platform, longest))[0] == 201
    status, problem = await upload(platform, bytes(MAX_BYTES + 70_000))
    assert (status, problem["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("data", [b"", b"not a wav", tone(8_000, 0.01)])
async def test_what_is_no_recording(platform: Platform, data: bytes) -> None:
    status, problem = await upload(platform, data)
    assert (status, problem["code"]) == (422, "invalid_audio")


async def test_what_is_no_prompt(platform: Platform) -> None:
    for body in (
        {"name": "x"},
        {"name": "", "text": "가"},
        {"name": "x", "text": "가" * 501},
        {"name": "x", "text": "!"},
    ):
        assert (await platform.post("/v1/prompts", body)).json()["code"] == "invalid_request", body
    assert (await upload(platform, tone(8_000, 0.5), name=""))[1]["code"] == "invalid_request"
    assert (await upload(platform, tone(8_000, 0.5), **{"content-type": "audio/mpeg"}))[1]["code"] == "invalid_request"
    assert (await upload(platform, tone(8_000, 0.5)))[0] == 201
    assert (await upload(platform, tone(8_000, 0.5)))[1]["code"] == "invalid_request"


async def test_a_machine_that_cannot_speak(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    answer = await platform.post("/v1/prompts", {"name": "ended", "text": "배송이 끝났습니다."})
    assert (answer.status_code, answer.json()["code"]) == (503, "speech_unavailable")
