from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.core_world import World, world
from tests.standby.parts import Scene, scene

__all__ = ["world"]


@pytest.fixture
async def on(world: World, redis_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(world, redis_url, tmp_path) as opened:
        await opened.bridge.calm()  # opens them
        await opened.bridge.calm()
        world.clock.move(seconds=1)
        yield opened
