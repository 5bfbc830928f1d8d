"""How PostgreSQL carries out what bridges ask, planned once, at the worst moment for it: while every table is empty."""

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.core_world import World
from vns.abuse import queries as abuse
from vns.bindings import queries as bindings
from vns.calls import queries as calls
from vns.messages import queries as messages
from vns.prompts import queries as prompts
from vns.recordings import queries as recordings
from vns.routing import queries as routing
from vns.storage.database import Database
from vns.verifications import queries as verifications

STATEMENTS: list[tuple[ModuleType, str]] = [
    *(
        (calls, name)
        for name in (
            "WRITE_BEGINS",
            "INSERT_CONNECTED",
            "INSERT_CONNECTED_STRANGER",
            "COUNT_OPEN",
            "LOCK_CONSUMABLE",
            "FINISH",
            "NOTE_ANSWERS",
            "INSERT_UNASKED",
            "UNFINISHED",
            "OPEN_SINCE",
            "TO_TERMINATE",
        )
    ),
    *((routing, name) for name in ("FACTS", "FACTS_OF_MANY", "ALL_FACTS", "NEWEST_SEATS", "STOPPED_CALLERS")),
    *((bindings, name) for name in ("END_LIVE", "SLIDE")),
    (messages, "OWNERS"),
    (abuse, "TRUSTED"),
    *((recordings, name) for name in ("INSERT", "PATH_OF_CALL")),
    *((prompts, name) for name in ("IDS", "NAMES", "SOUNDS")),
    *((verifications, name) for name in ("SELECT", "CLAIM", "FINISH", "EXPIRE")),
]
# Those that hold what a bridge looks for and little else, and are read from one end to the other.
SMALL = {"calls_open", "verification_calls_open"}


def scans(node: dict[str, Any], *, limited: bool = False) -> Iterator[tuple[str, bool]]:
    """What reads a table, and whether it reads all of it: a bitmap reads what its index told it, and the first rows in
    the order of an index are not all of them."""
    kind, limited = node["Node Type"], limited or node["Node Type"] == "Limit"
    if "Scan" in kind and ("Relation Name" in node or "Index Name" in node):
        by_key = kind == "Bitmap Heap Scan" or "Index Cond" in node
        few = node.get("Index Name") in SMALL or (limited and kind == "Index Scan")
        yield f"{kind} {node.get('Relation Name')} {node.get('Index Name')}", not (by_key or few)
    for part in node.get("Plans", ()):
        yield from scans(part, limited=limited and kind in {"Limit", "Subquery Scan"})


@pytest.mark.parametrize(
    ("module", "name"), [pytest.param(*one, id=f"{one[0].__name__}.{one[1]}") for one in STATEMENTS]
)
async def test_a_bridges_statement_looks_up_by_key(world: World, module: ModuleType, name: str) -> None:
    db = await Database.open(world.db.url, size=1, by_key=True)
    try:
        async with db.connection() as connection:
            await connection.execute(f"prepare asked as {getattr(module, name)}")
            types = "select unnest(parameter_types)::text as name from pg_prepared_statements where name = 'asked'"
            given = ", ".join(f"null::{row['name']}" for row in await connection.fetch(types))
            explained = await connection.fetchval(f"explain (format json) execute asked ({given})")
    finally:
        await db.close()
    found = dict(scans(json.loads(explained)[0]["Plan"]))
    assert found
    assert [what for what, reads_all in found.items() if reads_all] == []
