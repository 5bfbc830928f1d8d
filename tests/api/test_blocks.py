"""Block lists over HTTP: a tenant blocks on what is its own, and the next decision knows of it."""

from uuid import uuid4

import pytest

from tests.api.conftest import COURIER, MALL, OPERATOR, OTHER_MALL, Platform
from vns.bindings.rules import Channel
from vns.numbering.rules import parse
from vns.routing.rules import Connect, Question, Reason, Refuse
from vns.routing.service import Router

STRANGER = "010-5555-6666"


async def outcome(platform: Platform, dialled: str, caller: str) -> Reason | None:
    """The reason of a refusal; None: connected."""
    services = platform.services
    number = parse(dialled)
    question = Question(vn=number.key, caller=parse(caller), channel=Channel.VOICE, at=platform.clock.now())
    async with services.database.connection() as connection:
        decision = (await Router(services.pools._keyring).route(connection, question)).decision  # type: ignore[arg-type]
    assert isinstance(decision, Connect | Refuse)
    return decision.reason if isinstance(decision, Refuse) else None


async def test_a_party_is_blocked_on_a_binding_at_once_and_let_in_again(platform: Platform) -> None:
    binding = await platform.bind()
    other = await platform.bind()
    made = await platform.post("/v1/blocks", {"number": STRANGER, "binding_id": binding["id"]})
    assert made.status_code == 201, made.text
    block = made.json()
    assert (block["number"], block["direction"], block["pool_id"]) == ("010-****-6666", "from", None)
    assert await outcome(platform, binding["virtual_number"], STRANGER) is Reason.NOT_ALLOWED
    assert await outcome(platform, other["virtual_number"], STRANGER) is None
    listed = (await platform.get(f"/v1/blocks?binding_id={binding['id']}")).json()
    assert listed == {"items": [block], "next_cursor": None}
    gone = await platform.ask("DELETE", f"/v1/blocks/{block['id']}")
    assert gone.json() == block
    assert await outcome(platform, binding["virtual_number"], STRANGER) is None
    assert (await platform.ask("DELETE", f"/v1/blocks/{block['id']}")).json()["code"] == "not_found"


async def test_blocking_again_changes_the_direction(platform: Platform) -> None:
    binding = await platform.bind()
    body = {"number": STRANGER, "binding_id": binding["id"]}
    first = (await platform.post("/v1/blocks", body)).json()
    again = (await platform.post("/v1/blocks", {**body, "direction": "to"})).json()
    assert (again["id"], again["direction"]) == (first["id"], "to")
    assert await outcome(platform, binding["virtual_number"], STRANGER) is None


async def test_nobody_reaches_a_party_that_is_blocked_the_other_way(platform: Platform) -> None:
    pair = {"mode": "bidirectional", "real_number": "01011112222", "peer_number": "01033334444"}
    made = (await platform.post("/v1/bindings", pair)).json()
    await platform.post("/v1/blocks", {"number": "01011112222", "binding_id": made["id"], "direction": "to"})
    assert await outcome(platform, made["virtual_number"], "01033334444") is Reason.NOT_ALLOWED
    assert await outcome(platform, made["virtual_number"], "01011112222") is None


async def test_the_operator_blocks_on_a_pool_and_only_it_takes_that_back(platform: Platform) -> None:
    binding = await platform.bind()
    pools = {pool["name"]: pool["id"] for pool in (await platform.get("/v1/pools")).json()["items"]}
    body = {"number": STRANGER, "pool_id": pools["safe"], "direction": "both"}
    assert (await platform.post("/v1/blocks", body)).json()["code"] == "not_found", "the pool is not the mall's"
    made = (await platform.post("/v1/blocks", body, key=OPERATOR)).json()
    assert await outcome(platform, binding["virtual_number"], STRANGER) is Reason.NOT_ALLOWED
    assert (await platform.ask("DELETE", f"/v1/blocks/{made['id']}")).json()["code"] == "not_found"
    assert (await platform.get("/v1/blocks")).json()["items"] == []
    on_binding = {"number": STRANGER, "binding_id": binding["id"]}
    await platform.post("/v1/blocks", on_binding, key=OPERATOR)
    assert (await platform.post("/v1/blocks", on_binding)).json()["code"] == "conflict"


async def test_a_mall_with_a_pool_of_its_own_blocks_on_it(platform: Platform) -> None:
    owner = (await platform.services.access.get_tenant(MALL)).id
    pool = await platform.pool("0504-7000-0000", "0504-7000-0009", owner_id=owner)
    body = {"number": STRANGER, "pool_id": str(pool.id)}
    assert (await platform.post("/v1/blocks", body)).status_code == 201
    assert (await platform.post("/v1/blocks", body, key=OTHER_MALL)).json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"number": STRANGER}, "invalid_request"),
        ({"number": STRANGER, "binding_id": str(uuid4()), "pool_id": str(uuid4())}, "invalid_request"),
        ({"number": STRANGER, "binding_id": str(uuid4())}, "not_found"),
        ({"number": "hello", "binding_id": str(uuid4())}, "invalid_number"),
        ({"number": STRANGER, "binding_id": str(uuid4()), "direction": "up"}, "invalid_request"),
    ],
)
async def test_what_is_wrong_has_a_code(platform: Platform, body: object, code: str) -> None:
    answer = await platform.post("/v1/blocks", body)
    assert answer.json()["code"] == code
    assert "5555" not in answer.text


async def test_another_mall_s_binding_is_not_found_and_couriers_have_no_say(platform: Platform) -> None:
    binding = await platform.bind()
    body = {"number": STRANGER, "binding_id": binding["id"]}
    assert (await platform.post("/v1/blocks", body, key=OTHER_MALL)).json()["code"] == "not_found"
    assert (await platform.post("/v1/blocks", body, key=COURIER)).json()["code"] == "forbidden"


async def test_blocks_are_stored_without_the_number_and_journalled(platform: Platform) -> None:
    binding = await platform.bind()
    made = (await platform.post("/v1/blocks", {"number": STRANGER, "binding_id": binding["id"]})).json()
    async with platform.services.database.connection() as connection:
        stored = await connection.fetchrow("select * from blocked_parties")
        events = await connection.fetch("select event, subject::text from journal where event like 'block.%'")
    assert b"01055556666" not in bytes(stored["number"])
    assert [tuple(event) for event in events] == [("block.created", made["id"])]


async def test_a_list_of_blocks_goes_page_by_page(platform: Platform) -> None:
    binding = await platform.bind()
    made = [
        (await platform.post("/v1/blocks", {"number": f"0105555000{n}", "binding_id": binding["id"]})).json()
        for n in range(3)
    ]
    first = (await platform.get("/v1/blocks?limit=2")).json()
    rest = (await platform.get(f"/v1/blocks?limit=2&cursor={first['next_cursor']}")).json()
    assert first["items"] + rest["items"] == made[::-1]
    assert rest["next_cursor"] is None
