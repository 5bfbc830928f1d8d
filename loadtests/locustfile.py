"""Load as people make it: malls allocate, look up and release; couriers look up, then dial or text.

    bin/up &   # or a platform elsewhere
    .venv/bin/locust -f loadtests/locustfile.py

Who asks is read from `VNS_LOAD_CREDENTIALS` (default var/dev/credentials.json, which `bin/up` writes). What couriers do
beside looking up is `VNS_LOAD_COURIER`: any of `dial,text` (default: nothing). Dialling needs sipp, and calls from the
trunk's address to `VNS_LOAD_SIP` (default 127.0.0.1:5060); phones on the trunk port `VNS_LOAD_TRUNK` (default
127.0.0.1:5090) answer while the test runs. Texting goes as a handset to the simulated SMSC of the credentials.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locust import FastHttpUser, between, events, task
from locust.env import Environment

from simulators.phones.scenarios import Behaviour, Identity, callee_scenario, caller_scenario

ROOT = Path(__file__).parent.parent
COURIER_NUMBER = "01090000001"
CALL_SECONDS = 1.0  # of talk
PATIENCE = 30.0  # seconds for one call or text
DISCARD_PORT = 9  # where a phone says it listens: no voice is sent
KNOWN = 1_000  # deliveries that couriers know of


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What a courier reads off a parcel."""

    reference: str


@dataclass(kw_only=True)
class Ground:
    """What all users of one locust process share."""

    mall_key: str
    courier_key: str
    smsc: str
    actions: frozenset[str]
    sip: str
    trunk: str
    folder: Path
    deliveries: deque[Delivery] = field(default_factory=lambda: deque(maxlen=KNOWN))

    @classmethod
    def from_environment(cls) -> "Ground":
        file = Path(os.environ.get("VNS_LOAD_CREDENTIALS", str(ROOT / "var/dev/credentials.json")))
        credentials = json.loads(file.read_text())
        return cls(
            mall_key=credentials["mall_key"],
            courier_key=credentials["courier_key"],
            smsc=credentials.get("smsc", ""),
            actions=frozenset(filter(None, os.environ.get("VNS_LOAD_COURIER", "").split(","))),
            sip=os.environ.get("VNS_LOAD_SIP", "127.0.0.1:5060"),
            trunk=os.environ.get("VNS_LOAD_TRUNK", "127.0.0.1:5090"),
            folder=Path(tempfile.mkdtemp(prefix="vns-load-")),
        )


ground = Ground.from_environment()
phones: list["subprocess.Popen[bytes]"] = []


def sipp(scenario: str, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    script = ground.folder / f"{name}.xml"
    script.write_text(scenario)
    command = ["sipp", "-sf", str(script), "-nostdin", *arguments]
    return subprocess.Popen(
        command, cwd=ground.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )


@events.test_start.add_listener
def plug_phones_in(environment: Environment, **_unused: object) -> None:
    """Whoever is called over the trunk answers."""
    if "dial" in ground.actions:
        address, port = ground.trunk.split(":")
        scenario = callee_scenario(Behaviour(), address=address, port=DISCARD_PORT)
        phones.append(sipp(scenario, "callee", "-i", address, "-p", port))


@events.test_stop.add_listener
def unplug_phones(environment: Environment, **_unused: object) -> None:
    for phone in phones:
        phone.terminate()
        phone.wait(timeout=PATIENCE)
    phones.clear()


@contextmanager
def told(environment: Environment, kind: str, name: str) -> Iterator[None]:
    """Report to locust how long something took that is not HTTP, and whether it failed."""
    begun = time.perf_counter()
    failure: Exception | None = None
    try:
        yield
    except (OSError, subprocess.SubprocessError) as error:
        failure = error
    environment.events.request.fire(  # type: ignore[no-untyped-call]  # locust does not type it
        request_type=kind,
        name=name,
        response_time=1000 * (time.perf_counter() - begun),
        response_length=0,
        exception=failure,
        context={},
    )


class Mall(FastHttpUser):
    """A shopping mall's order system."""

    weight = 3
    wait_time = between(0.2, 1.0)

    def on_start(self) -> None:
        self.headers = {"authorization": f"Bearer {ground.mall_key}"}
        self.live: deque[str] = deque()

    @task(4)
    def allocate(self) -> None:
        reference = f"L-{random.randrange(10**12)}"
        body = {
            "mode": "one_way",
            "real_number": f"010{random.randrange(20_000_000, 99_999_999)}",
            "reference": reference,
            "ttl_seconds": 3600,
        }
        with self.client.post(
            "/v1/bindings", json=body, headers=self.headers, catch_response=True, name="allocate"
        ) as answer:
            if answer.status_code != 201:
                answer.failure(f"status {answer.status_code}")
                return
            self.live.append(answer.json()["id"])
            ground.deliveries.append(Delivery(reference=reference))

    @task(2)
    def look_up(self) -> None:
        if self.live:
            self.client.get(f"/v1/bindings/{random.choice(self.live)}", headers=self.headers, name="look up")

    @task(3)
    def release(self) -> None:
        if self.live:
            self.client.delete(f"/v1/bindings/{self.live.popleft()}", headers=self.headers, name="release")


class Courier(FastHttpUser):
    """A courier at the door: the safe number of a parcel, then a call or a text to it."""

    weight = 1
    wait_time = between(0.5, 2.0)

    def on_start(self) -> None:
        self.headers = {"authorization": f"Bearer {ground.courier_key}"}

    @task
    def deliver(self) -> None:
        number = None
        while ground.deliveries and number is None:  # parcels that are over are put aside
            delivery = random.choice(ground.deliveries)
            number = self.safe_number(delivery)
            if number is None and delivery in ground.deliveries:
                ground.deliveries.remove(delivery)
        if number is not None and ground.actions:
            actions: dict[str, Callable[[str], None]] = {"dial": self.dial, "text": self.text}
            actions[random.choice(sorted(ground.actions))](number)

    def safe_number(self, delivery: Delivery) -> str | None:
        """None when the delivery is over."""
        answer = self.client.get(f"/v1/deliveries/{delivery.reference}", headers=self.headers, name="look a parcel up")
        found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return found["virtual_number"] if found.get("status") == "active" else None

    def dial(self, number: str) -> None:
        address = ground.trunk.partition(":")[0]
        scenario = caller_scenario(
            Identity.plain(COURIER_NUMBER),
            number,
            address=address,
            port=DISCARD_PORT,
            talk_seconds=CALL_SECONDS,
            give_up_after=None,
        )
        with told(self.environment, "SIP", "dial"):
            call = sipp(scenario, f"caller-{number}", "-i", address, "-m", "1", ground.sip)
            try:
                status = call.wait(timeout=PATIENCE)
            finally:
                call.kill()
            if status != 0:
                raise subprocess.SubprocessError(f"sipp ended with {status}")

    def text(self, number: str) -> None:
        command = [sys.executable, "-m", "simulators.smsc.handset", "--smsc", ground.smsc]
        command += ["--from", COURIER_NUMBER, "--to", number, "문 앞에 두었습니다"]
        with told(self.environment, "SMPP", "text"):
            subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=PATIENCE, check=True)
