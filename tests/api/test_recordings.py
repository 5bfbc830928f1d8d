"""Recorded calls over HTTP: a key makes a link, the link is heard without one."""

from pathlib import Path
from uuid import UUID, uuid4

from tests.api.conftest import COURIER, OPERATOR, OTHER_MALL, RECORDED, Platform


def files(store: Path) -> list[Path]:
    return [path for path in store.rglob("*") if path.is_file()]


async def test_a_link_is_made_and_heard_without_a_key(platform: Platform, recorded_call: UUID) -> None:
    made = await platform.ask("POST", f"/v1/calls/{recorded_call}/recording-url")
    assert made.status_code == 201, made.text
    link = made.json()
    assert set(link) == {"url", "expires_at"}
    assert link["expires_at"] == "2026-03-01T12:15:00Z"
    heard = await platform.client.get(link["url"])
    assert heard.status_code == 200
    assert heard.content == RECORDED
    assert heard.headers["content-type"] == "audio/wav"
    assert heard.headers["content-length"] == str(len(RECORDED))
    assert "no-store" in heard.headers["cache-control"]
    platform.clock.move(minutes=15)
    over = await platform.client.get(link["url"])
    assert (over.status_code, over.json()["code"]) == (403, "invalid_link")


async def test_nobody_elses(platform: Platform, recorded_call: UUID) -> None:
    other = await platform.ask("POST", f"/v1/calls/{recorded_call}/recording-url", key=OTHER_MALL)
    assert (other.status_code, other.json()["code"]) == (404, "not_found")
    for key in (COURIER, OPERATOR):
        answer = await platform.ask("POST", f"/v1/calls/{recorded_call}/recording-url", key=key)
        assert answer.json()["code"] == "forbidden"
    none = await platform.ask("POST", f"/v1/calls/{uuid4()}/recording-url")
    assert none.json()["code"] == "not_found"
    assert (await platform.client.post(f"/v1/calls/{recorded_call}/recording-url")).json()["code"] == "unauthorized"


async def test_a_link_that_was_touched(platform: Platform, recorded_call: UUID) -> None:
    url: str = (await platform.ask("POST", f"/v1/calls/{recorded_call}/recording-url")).json()["url"]
    for changed in (url[:-1] + ("0" if url[-1] != "0" else "1"), url.replace("expires=1", "expires=2")):
        assert (await platform.client.get(changed)).json()["code"] == "invalid_link"
    for missing in (url.partition("&")[0], url.partition("?")[0]):
        assert (await platform.client.get(missing)).json()["code"] == "invalid_request"


async def test_a_changed_file_is_not_played(platform: Platform, recorded_call: UUID, recording_store: Path) -> None:
    url = (await platform.ask("POST", f"/v1/calls/{recorded_call}/recording-url")).json()["url"]
    [file] = files(recording_store)
    data = bytearray(file.read_bytes())
    data[1_000] ^= 1
    file.write_bytes(bytes(data))
    answer = await platform.client.get(url)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
