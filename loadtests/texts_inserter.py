"""A customer's program: rows into MSG_DATA by many connections, one row and one commit each. JSON on standard input.

python -m loadtests.texts_inserter < order: {"url": …, "connections": c, "first": n, "count": m}. Prints the seconds it
took as JSON.
"""

import asyncio
import json
import sys
import time
from itertools import count
from typing import Any

import asyncpg
import uvloop

_INSERT = """
insert into MSG_DATA (CUR_STATE, CALL_TO, CALL_FROM, SMS_TXT, MSG_TYPE) values (0, $1, '07080000000', $2, 4)
"""


async def _insert(order: dict[str, Any]) -> float:
    numbers = count(order["first"])
    end = order["first"] + order["count"]
    connections = [await asyncpg.connect(order["url"]) for _ in range(order["connections"])]

    async def work(connection: asyncpg.Connection) -> None:
        while (number := next(numbers)) < end:
            await connection.execute(_INSERT, f"0104{number % 10_000_000:07}", f"Your parcel #{number} is at the door")

    begun = time.perf_counter()
    await asyncio.gather(*map(work, connections))
    took = time.perf_counter() - begun
    for connection in connections:
        await connection.close()
    return took


if __name__ == "__main__":
    print(json.dumps({"seconds": uvloop.run(_insert(json.loads(sys.stdin.read())))}))
