"""The acts of people and keys out of the journal: newest first, page by page, without the mass of the rest."""

import pytest

from tests.core_world import World
from vns.access.audit import Act, Audit
from vns.errors import InvalidRequest


async def test_acts_page_by_page(world: World) -> None:
    audit = Audit(world.db)
    for _ in range(5):
        await world.access.issue_key("user:1", "mall")
    binding = await world.allocate()
    await world.bindings.release(world.mall, binding.id)
    everything = await audit.acts(None)
    assert {act.event for act in everything.items} == {"tenant.created", "key.issued", "pool.created"}
    seen: list[Act] = []
    cursor = None
    while True:
        page = await audit.acts(world.mall.tenant_id, cursor=cursor, limit=2)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [act for act in everything.items if act.tenant == "mall"]
    assert [act.event for act in seen] == ["key.issued"] * 6 + ["tenant.created"]


@pytest.mark.parametrize("cursor", ["", "1", "a-b", "-1-2", "9223372036854775808-1", "1-2-3"])
async def test_cursors_that_no_list_gave_out(world: World, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        await Audit(world.db).acts(None, cursor=cursor)
