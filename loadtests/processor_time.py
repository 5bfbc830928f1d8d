"""Processor time by part.

On two cores that do everything it decides where the knee is, and a neighbour changes it less than the time that passes.
"""

from collections import defaultdict
from collections.abc import Mapping

import psutil


def spent() -> Mapping[str, float]:
    """Processor seconds, user and system, of this process's descendants so far, by what they are."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
            seconds[_part(process)] += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return seconds


def per_call(before: Mapping[str, float], after: Mapping[str, float], calls: int) -> dict[str, float]:
    """Milliseconds of a call, by part. `calls` must not be 0."""
    return {part: 1000 * (after[part] - before.get(part, 0.0)) / calls for part in after}


def _part(process: psutil.Process) -> str:
    """Raises psutil.NoSuchProcess."""
    words = process.cmdline()
    if "ivr" in words:
        return "bridges"
    if "loadtests.way_servers" in words:
        return words[words.index("loadtests.way_servers") + 1]
    name = process.name()
    return {"asterisk": "Asterisk", "postgres": "PostgreSQL", "redis-server": "Redis", "sipp": "phones"}.get(name, name)
