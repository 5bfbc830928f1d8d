"""The intercept hook's settings over HTTP."""

import pytest

from tests.api.conftest import COURIER, OTHER_MALL, Platform

PATH = "/v1/intercept-hook"
SECRET = "sixteen characters"
HOOK = {"url": "https://calls.mall.example/vns?x=1", "secret": SECRET}


async def test_a_hook_is_set_shown_without_its_secret_replaced_and_taken_away(platform: Platform) -> None:
    assert (await platform.get(PATH)).json()["code"] == "not_found"
    made = await platform.ask("PUT", PATH, HOOK)
    assert made.status_code == 200, made.text
    assert {**made.json(), "changed_at": ""} == {
        "url": HOOK["url"],
        "deadline_ms": 700,
        "on_failure": "allow",
        "changed_at": "",
    }
    assert (await platform.get(PATH)).json() == made.json()
    changed = await platform.ask("PUT", PATH, {**HOOK, "deadline_ms": 300, "on_failure": "refuse"})
    assert (changed.json()["deadline_ms"], changed.json()["on_failure"]) == (300, "refuse")
    assert (await platform.get(PATH, key=OTHER_MALL)).json()["code"] == "not_found"
    async with platform.services.database.connection() as connection:
        stored = await connection.fetchval("select secret from intercept_hooks")
        events = await connection.fetch("select event, data from journal where event like 'hook.%'")
    assert SECRET.encode() not in bytes(stored)
    assert [tuple(event) for event in events] == [("hook.changed", {}), ("hook.changed", {})]
    assert (await platform.ask("DELETE", PATH)).json() == changed.json()
    assert (await platform.ask("DELETE", PATH)).json()["code"] == "not_found"


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ftp://mall.example/"},
        {"url": "https:///path"},
        {"url": "https://user:password@mall.example/"},
        {"url": "https://mall.example/#part"},
        {"url": "https://mall.example:99999/"},
        {"url": "https://mall.example:0/"},
        {"url": "https://256.1.1.1/"},
        {"url": "https://mall.example/ x"},
        {"url": "https://mall.example/" + "x" * 500},
        {"secret": "short"},
        {"deadline_ms": 49},
        {"deadline_ms": 1501},
        {"on_failure": "maybe"},
    ],
)
async def test_what_no_hook_can_have_is_refused(platform: Platform, change: dict[str, object]) -> None:
    answer = await platform.ask("PUT", PATH, {**HOOK, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
    assert (await platform.get(PATH)).status_code == 404


async def test_a_courier_has_no_hook(platform: Platform) -> None:
    assert (await platform.ask("PUT", PATH, HOOK, key=COURIER)).json()["code"] == "forbidden"
