"""What docs/modes.md tells to send, sent."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import COURIER, Platform
from vns.pools.rules import Service

PAGE = (Path(__file__).resolve().parents[2] / "docs/modes.md").read_text()
BODIES: list[dict[str, Any]] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
NEW = {body["mode"]: body for body in BODIES if "mode" in body}
[CHANGE] = [body for body in BODIES if "mode" not in body]


@pytest.fixture
async def with_1877(platform: Platform) -> Platform:
    await platform.pool("1877-0000", "1877-0009", Service.REPRESENTATIVE, name="rep", sms_sender_proof="file 3")
    return platform


@pytest.mark.parametrize("mode", ["per_side", "extension", "group", "outbound"])
async def test_each_mode_as_its_page_tells(with_1877: Platform, mode: str) -> None:
    answer = await with_1877.post("/v1/bindings", NEW[mode])
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["mode"], made["status"]) == (mode, "active")
    assert (made["peer_virtual_number"] is not None) == (mode == "per_side")
    assert (made["extension"] is not None) == (mode == "extension")
    assert made["members"] == (["02-***-1000", "010-****-4321"] if mode == "group" else None)
    assert made["ring"] == ("order" if mode == "group" else None)
    assert made["exposes"] == (["caller"] if mode == "extension" else [])
    assert (await with_1877.get(f"/v1/bindings/{made['id']}")).json() == made


async def test_the_team_changes_as_the_page_tells(platform: Platform) -> None:
    made = (await platform.post("/v1/bindings", NEW["group"])).json()
    answer = await platform.ask("PATCH", f"/v1/bindings/{made['id']}", CHANGE)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["members"], answer.json()["ring"]) == (["010-****-4321", "010-****-8888"], "all")


async def test_a_courier_is_told_the_extension(platform: Platform) -> None:
    made = (await platform.post("/v1/bindings", NEW["extension"])).json()
    found = (await platform.get(f"/v1/deliveries/{made['reference']}", key=COURIER)).json()
    assert (found["virtual_number"], found["extension"]) == (made["virtual_number"], made["extension"])
    plain = await platform.bind(reference="plain")
    assert "extension" not in (await platform.get(f"/v1/deliveries/{plain['reference']}", key=COURIER)).json()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"mode": "per_side"}, "invalid_request"),
        ({"mode": "group"}, "invalid_request"),
        ({"mode": "group", "members": ["010-1111-2222"]}, "same_party"),
        ({"mode": "group", "members": ["112"]}, "number_not_mappable"),
        ({"mode": "group", "members": ["hello"]}, "invalid_number"),
        ({"mode": "group", "members": ["010-3333-4444"], "service": "050"}, "mode_not_supported"),
        ({"mode": "outbound", "service": "050"}, "mode_not_supported"),
        ({"mode": "extension", "extension": "1"}, "invalid_request"),
        ({"mode": "one_way", "extension": "1234"}, "invalid_request"),
        ({"mode": "one_way", "members": ["010-3333-4444"]}, "invalid_request"),
        ({"mode": "one_way", "peer_virtual_number": "070-8000-0001"}, "invalid_request"),
        ({"mode": "one_way", "ring": "all"}, "invalid_request"),
        ({"mode": "outbound", "caller_id": "caller"}, "invalid_request"),
    ],
)
async def test_what_no_mode_can_be(platform: Platform, fields: dict[str, Any], code: str) -> None:
    answer = await platform.post("/v1/bindings", {"real_number": "010-1111-2222", **fields})
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
