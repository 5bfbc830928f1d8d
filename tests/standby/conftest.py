from tests.core_world import world

__all__ = ["world"]
