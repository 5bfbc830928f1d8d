"""The demo's cast: phones on the trunk, handsets on the SMSC, and the mall's and courier's HTTP calls.

Each act does one thing on the running platform and gives back what every side saw, for local.demo to judge and print.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
from pydantic import BaseModel, ConfigDict

from ivr.settings import split_address
from local.settings import LocalSettings
from simulators.phones.carrier import CallReport, Carrier
from simulators.phones.scenarios import Behaviour, Identity
from simulators.smsc.handset import Handset

TIMEOUT = 20.0  # seconds for anything that the story waits for
LOOK_AGAIN = 0.1  # seconds
TALK_SECONDS = 1.0
RING_SECONDS = 0.5

Answer = TypeVar("Answer", bound="Seen")
Found = TypeVar("Found")


class StoryError(Exception):
    """A step did not go as the story says."""


class Seen(BaseModel):
    """Part of an answer of the API; what the story does not use is left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Binding(Seen):
    id: str
    status: str
    virtual_number: str
    real_number: str
    peer_number: str | None
    exposes: list[str]


class Delivery(Seen):
    reference: str
    virtual_number: str
    status: str


class Text(Seen):
    kind: str
    status: str
    code: str | None


class Texts(Seen):
    items: list[Text]


class CallRecord(Seen):
    result: str
    cause: int | None
    ended_at: str | None
    billed_seconds: int


class CallRecords(Seen):
    items: list[CallRecord]


class Credentials(Seen):
    base_url: str
    mall_key: str
    courier_key: str
    smsc: str
    sms_outbox: Path | None


@dataclass(frozen=True, kw_only=True)
class Call:
    """Both ends of one call; `called` is None when no phone was to ring."""

    caller: CallReport
    called: CallReport | None


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A text as a handset received it; `record`: all that the SMSC or MMSC wrote down about it."""

    sender: str
    receiver: str
    record: str


def read_credentials(settings: LocalSettings) -> Credentials:
    """Raises StoryError when no platform was started on the folder."""
    file = settings.run_dir / "credentials.json"
    try:
        return Credentials.model_validate_json(file.read_text())
    except FileNotFoundError:
        raise StoryError(f"{file} is missing: bin/up writes it") from None


class Cast:
    """Everybody who acts. Use as `async with Cast(…) as cast`."""

    def __init__(self, settings: LocalSettings, credentials: Credentials) -> None:
        self._credentials = credentials
        self._http = httpx.AsyncClient(base_url=credentials.base_url, timeout=TIMEOUT)
        self._carrier = Carrier(
            trunk=split_address(settings.sip_trunk),
            asterisk=("127.0.0.1", settings.sip_port),
            folder=settings.run_dir / "demo",
        )

    async def __aenter__(self) -> "Cast":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def allocate(self, **request: str | int) -> Binding:
        """The mall's `POST /v1/bindings`. Raises StoryError unless answered 201."""
        return await self._as_mall(Binding, "POST", "/v1/bindings", 201, request)

    async def binding(self, binding_id: str) -> Binding:
        return await self._as_mall(Binding, "GET", f"/v1/bindings/{binding_id}", 200)

    async def release(self, binding_id: str) -> Binding:
        return await self._as_mall(Binding, "DELETE", f"/v1/bindings/{binding_id}", 200)

    async def delivery(self, reference: str) -> Delivery:
        """The courier's look-up, with its own key."""
        key = self._credentials.courier_key
        return await self._ask(Delivery, "GET", f"/v1/deliveries/{reference}", 200, key, None)

    async def texts_of(self, binding_id: str) -> list[Text]:
        return (await self._as_mall(Texts, "GET", f"/v1/messages?binding_id={binding_id}", 200)).items

    async def _as_mall(
        self, kind: type[Answer], method: str, path: str, status: int, body: dict[str, str | int] | None = None
    ) -> Answer:
        return await self._ask(kind, method, path, status, self._credentials.mall_key, body)

    async def _ask(
        self, kind: type[Answer], method: str, path: str, status: int, key: str, body: dict[str, str | int] | None
    ) -> Answer:
        try:
            answer = await self._http.request(method, path, headers={"Authorization": f"Bearer {key}"}, json=body)
        except httpx.HTTPError as problem:
            raise StoryError(f"{method} {path}: no answer ({type(problem).__name__})") from problem
        if answer.status_code != status:
            raise StoryError(f"{method} {path}: {answer.status_code} instead of {status}: {answer.text}")
        return kind.model_validate_json(answer.content)

    async def call(self, caller: str, dialled: str) -> Call:
        """`caller` dials while a phone waits on the trunk and answers what comes; both talk, the caller hangs up."""
        async with self._carrier.phone(Behaviour(ring_seconds=RING_SECONDS)) as called:
            report = await self._carrier.call(dialled, Identity.plain(caller), talk_seconds=TALK_SECONDS)
            if report.status != 200:
                return Call(caller=report, called=called.report() if called.messages() else None)
            return Call(caller=report, called=await called.hung_up())

    async def text(self, sender: str, dialled: str, text: str) -> Arrived:
        """`sender`'s handset texts `dialled`; returns what the other handset got. Raises StoryError."""
        outbox = self._credentials.sms_outbox
        if outbox is None:
            raise StoryError("texts can only be shown with the simulated SMSC: unset VNS_SMPP_URL")
        before = _size(outbox)
        async with Handset(self._credentials.smsc) as handset:
            await handset.send(sender, dialled, text)
        record = await _eventually(
            lambda: asyncio.to_thread(_record_of, outbox, before, text), "the text did not reach the other handset"
        )
        return Arrived(sender=record["from"], receiver=record["to"], record=json.dumps(record))

    async def delivered(self, binding_id: str, count: int) -> None:
        """Until `count` texts of the binding are delivered, as the platform itself reports. Raises StoryError."""

        async def all_delivered() -> bool | None:
            texts = await self.texts_of(binding_id)
            return [text.status for text in texts].count("delivered") == count or None

        await _eventually(all_delivered, f"GET /v1/messages does not show {count} texts as delivered")

    async def call_records(self, binding_id: str, count: int) -> list[CallRecord]:
        """The records of `count` ended calls, oldest first. Raises StoryError when there are not so many."""

        async def all_there() -> list[CallRecord] | None:
            path = f"/v1/calls?binding_id={binding_id}"
            items = (await self._as_mall(CallRecords, "GET", path, 200)).items
            return items[::-1] if [item.ended_at is None for item in items].count(False) == count else None

        return await _eventually(all_there, f"GET /v1/calls does not show {count} ended calls")

    async def expired(self, binding_id: str) -> None:
        """Until the platform shows the binding as expired. Raises StoryError."""

        async def over() -> bool | None:
            return (await self.binding(binding_id)).status == "expired" or None

        await _eventually(over, "the binding does not expire")


async def _eventually(ask: Callable[[], Awaitable[Found | None]], failure: str) -> Found:
    """Ask until there is something. Raises StoryError after TIMEOUT."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + TIMEOUT
    while (found := await ask()) is None:
        if loop.time() > deadline:
            raise StoryError(f"{failure} (waited {TIMEOUT:g} s)")
        await asyncio.sleep(LOOK_AGAIN)
    return found


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _record_of(outbox: Path, start: int, text: str) -> dict[str, str] | None:
    """What the SMSC or the MMSC wrote after `start` about the text."""
    if not outbox.exists():
        return None
    with outbox.open("rb") as opened:
        opened.seek(start)
        lines = opened.read().decode().splitlines(keepends=True)
    records = [json.loads(line) for line in lines if line.endswith("\n")]
    return next((record for record in records if record["text"] == text), None)
