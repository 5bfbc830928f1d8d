"""Begins for tests: how one looks, and what is in a bridge's file and in the records."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from tests.core_world import World
from vns.calls.begins import Begin

NAME = "begins/a.jsonl"


async def records(world: World) -> dict[UUID, dict[str, Any]]:
    async with world.db.connection() as connection:
        return {row["id"]: dict(row) for row in await connection.fetch("select * from calls")}


def lines(tmp_path: Path) -> list[Begin]:
    path = tmp_path / NAME
    return [Begin.parse(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def a_begin(**fields: object) -> Begin:
    values: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": None,
        "binding_id": None,
        "vn": 50410000000,
        "direction": "none",
        "from_index": None,
        "from_masked": None,
        "to_index": None,
        "to_masked": None,
        "arrived_at": datetime(2026, 11, 28, 1, 2, 3, 456789, UTC),
        "bridge": "a",
        "channel": "vns-1",
        "result": "ended",
        "cause": 22,
        "from_copy": False,
    }
    return Begin(**{**values, **fields})
