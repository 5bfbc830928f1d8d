"""The load, as a process of its own: reads an `Order` as JSON from standard input, answers a `Measured` as JSON.

python -m loadtests.http_load < order.json
"""

import asyncio
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop

from loadtests.wire_client import WireClient, request_bytes

ROOT = Path(__file__).parent.parent
WARM_UP = 0.2  # of the seconds, not counted
_NUMBER = re.compile(rb'"virtual_number":"(\d+)"')


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to send. `kind`: a key of REQUESTS. `rate` 0: each connection asks as fast as it is answered.

    `requests`: end after so many, 0 for when the seconds are over.
    """

    kind: str
    port: int
    connections: int
    seconds: float
    rate: float = 0.0
    key: str = ""
    first: int = 0  # where running numbers begin
    requests: int = 0
    count: int = 1  # references to look up; items of a batch


@dataclass(kw_only=True)
class Measured:
    """`latencies_ms`: at 50, 95, 99 and 100 %; with a rate, from the moment a request was due."""

    answers: int = 0
    errors: int = 0
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    numbers: int = 0  # virtual numbers given out
    distinct_numbers: int = 0

    @property
    def rate(self) -> float:
        return self.answers / self.seconds if self.seconds else 0.0


def _allocation(number: int) -> dict[str, str]:
    return {"mode": "one_way", "real_number": f"010{20_000_000 + number % 70_000_000}", "reference": f"W-{number}"}


def _allocate(order: Order, number: int) -> bytes:
    body = json.dumps(_allocation(number)).encode()
    return request_bytes("POST", "/v1/bindings", key=order.key, body=body)


def _batch(order: Order, number: int) -> bytes:
    items = [_allocation(number * order.count + place) for place in range(order.count)]
    return request_bytes("POST", "/v1/bindings/batch", key=order.key, body=json.dumps({"items": items}).encode())


def _look_up(order: Order, number: int) -> bytes:
    reference = (number * 7919) % order.count
    return request_bytes("GET", f"/v1/deliveries/W-{reference}", key=order.key)


def _plain(_order: Order, number: int) -> bytes:
    body = json.dumps({"real_number": f"010{20_000_000 + number % 70_000_000}"}).encode()
    return request_bytes("POST", "/lease", body=body)


def _empty(_order: Order, _number: int) -> bytes:
    return request_bytes("GET", "/empty")


REQUESTS: dict[str, Callable[[Order, int], bytes]] = {
    "allocate": _allocate,
    "batch": _batch,
    "look_up": _look_up,
    "plain": _plain,
    "empty": _empty,
}


class Load:
    """One run of an order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._numbers = itertools.count(order.first)
        self._took: list[float] = []
        self._errors = 0
        self._sent = 0
        self._bodies: list[bytes] = []

    async def run(self) -> Measured:
        clients = [await WireClient.connect(self._order.port) for _ in range(self._order.connections)]
        begun = time.perf_counter()
        counted_from = begun + WARM_UP * self._order.seconds
        end = begun + self._order.seconds
        if self._order.rate:
            due = self._schedule(begun)
            await asyncio.gather(*(self._keep_pace(client, due, counted_from, end) for client in clients))
        else:
            await asyncio.gather(*(self._as_fast(client, counted_from, end) for client in clients))
        for client in clients:
            client.close()
        return self._measured(end - counted_from)

    def _schedule(self, begun: float) -> Iterator[float]:
        return (begun + number / self._order.rate for number in itertools.count())

    async def _as_fast(self, client: WireClient, counted_from: float, end: float) -> None:
        while (now := time.perf_counter()) < end and (not self._order.requests or self._sent < self._order.requests):
            answered = await self._one(client)
            if answered is not None and counted_from <= answered < end:
                self._took.append(answered - now)

    async def _keep_pace(self, client: WireClient, due: Iterator[float], counted_from: float, end: float) -> None:
        for moment in due:
            if moment >= end:
                return
            ahead = moment - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            answered = await self._one(client)
            if answered is not None and moment >= counted_from:
                self._took.append(answered - moment)

    async def _one(self, client: WireClient) -> float | None:
        """When the answer had come; None for an error."""
        self._sent += 1
        request = REQUESTS[self._order.kind](self._order, next(self._numbers))
        status, body = await client.ask(request)
        self._bodies.append(body)
        if status in {200, 201}:
            return time.perf_counter()
        self._errors += 1
        return None

    def _measured(self, seconds: float) -> Measured:
        took = sorted(self._took)
        numbers = [number for body in self._bodies for number in _NUMBER.findall(body)]
        return Measured(
            answers=len(took),
            errors=self._errors,
            seconds=seconds,
            latencies_ms=[1000 * took[min(len(took) - 1, int(len(took) * part))] for part in (0.5, 0.95, 0.99, 1.0)]
            if took
            else [],
            numbers=len(numbers),
            distinct_numbers=len(set(numbers)),
        )


def measure(order: Order) -> Measured:
    """Run `order` in a process of its own. Raises CalledProcessError."""
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.http_load"],
        cwd=ROOT,
        input=json.dumps(asdict(order)).encode(),
        stdout=subprocess.PIPE,
        timeout=order.seconds + 120,
        check=True,
    )
    return Measured(**json.loads(done.stdout))


def main() -> None:
    order = Order(**json.loads(sys.stdin.buffer.read()))
    print(json.dumps(asdict(uvloop.run(Load(order).run()))))


if __name__ == "__main__":
    main()
