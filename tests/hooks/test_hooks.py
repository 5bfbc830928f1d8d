"""Hooks asked over real HTTP: the receiver of docs/intercept-hook.md, and servers that misbehave."""

import asyncio
import gzip
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hooks.addresses import Addresses
from hooks.client import HttpInterceptor, read_answer, told
from hooks.settings import HookSettings
from hooks.signing import signature
from local.children import tied
from tests.core_world import CUSTOMER, STRANGER, World
from vns.bindings.rules import BindingChange, Channel
from vns.calls.service import Attempt, Begun, Calls
from vns.errors import InvalidRequest
from vns.messages.rules import Arrival, Status
from vns.messages.service import Messages
from vns.numbering.rules import parse
from vns.pools.rules import Service
from vns.routing.hooks import Hooks, NewHook, check_hook
from vns.routing.intercept import Action, HookAnswer, Inquiry
from vns.routing.rules import Connect, Question, Reason, Refuse
from vns.routing.service import Hook, OnFailure
from vns.rulebook.documents import checked

SECRET = "sixteen characters"
DOCUMENT = (Path(__file__).parents[2] / "docs" / "intercept-hook.md").read_text(encoding="utf-8")
INQUIRY = Inquiry(
    binding_id=UUID("019a0000-0000-7000-8000-000000000000"),
    vn=50412345678,
    reference="640123456789",
    caller="010-****-4321",
    channel=Channel.VOICE,
    at=datetime(2030, 1, 1, tzinfo=UTC),
)
OTHER = "01066660001"
DIGITS_SAFE, DIGITS_VOIP = "050410000000", "07080000000"


def hook(port: int, **changed: Any) -> Hook:
    fields: dict[str, Any] = {
        "url": f"http://127.0.0.1:{port}/vns",
        "secret": SECRET,
        "deadline": 30.0,
        "on_failure": OnFailure.ALLOW,
    }
    return Hook(**(fields | changed))


@pytest.fixture
async def interceptor() -> AsyncIterator[HttpInterceptor]:
    async with HttpInterceptor(HookSettings(hooks_private=True)) as opened:
        yield opened


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory, new_port: Callable[[], int]) -> Iterator[int]:
    """The program printed in the document, running; its port."""
    found = re.search(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    folder = tmp_path_factory.mktemp("receiver")
    (folder / "receiver.py").write_text(found[1], encoding="utf-8")
    port = new_port()
    environment = {**os.environ, "HOOK_SECRET": SECRET, "HOOK_PORT": str(port)}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            tied([sys.executable, str(folder / "receiver.py")]), env=environment, stdout=log, stderr=log
        ) as process,
    ):
        try:
            give_up = time.monotonic() + 60
            while not _listens(port):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < give_up
            yield port
        finally:
            process.terminate()
            process.wait(timeout=60)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that reads one request after another and gives the same bytes back; None: nothing at all."""
    heads: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while head := await _head(reader):
            heads.append(head)
            if answer is not None:
                writer.write(answer)
                await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        for writer in writers:
            writer.close()
        server.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    assert length is not None
    await reader.readexactly(int(length[1]))
    return head


def http(content: bytes, status: bytes = b"200 OK", encoding: bytes = b"") -> bytes:
    """`encoding`: the value of Content-Encoding, where that is said."""
    told_so = b"Content-Encoding: %s\r\n" % encoding if encoding else b""
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, told_so, len(content), content)


async def test_the_documented_receiver_answers(receiver: int, interceptor: HttpInterceptor) -> None:
    assert await interceptor.ask(hook(receiver), INQUIRY) == HookAnswer(action=Action.ALLOW)
    held = replace(INQUIRY, reference="hold-17")
    assert await interceptor.ask(hook(receiver), held) == HookAnswer(action=Action.REFUSE, reason=Reason.BUSY)
    assert await interceptor.ask(hook(receiver, secret="another secret of 16"), INQUIRY) is None, "not signed by us"


def test_the_document_shows_what_is_really_sent() -> None:
    body = told(INQUIRY)
    assert body.decode() in DOCUMENT
    assert signature("a secret of your own, 16 or more", 1893456000, body) in DOCUMENT


async def test_a_connection_is_used_again(interceptor: HttpInterceptor) -> None:
    async with answering(http(b'{"action":"allow"}')) as (port, heads):
        for _ in range(3):
            assert await interceptor.ask(hook(port), INQUIRY) == HookAnswer(action=Action.ALLOW)
    assert len(heads) == 3
    assert {re.search(rb"(?i)host: (\S+)", head)[1] for head in heads} == {b"127.0.0.1:%d" % port}  # type: ignore[index]


PACKED = gzip.compress(b'{"action":"allow"}')


@pytest.mark.parametrize(
    "answer",
    [
        http(b""),
        http(b"yes"),
        http(b'"allow"'),
        http(b'{"action":"maybe"}'),
        http(b'{"action":"allow"}', b"500 Oh"),
        http(b'{"action":"allow"}', b"302 Found\r\nLocation: http://127.0.0.1/"),
        http(b'{"action":"allow"' + b" " * 5000 + b"}"),
        http(b"[" * 4000),
        http(PACKED, encoding=b"gzip"),
        http(gzip.compress(PACKED), encoding=b"gzip, gzip"),
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: zwei\r\n\r\n",
    ],
)
async def test_what_is_no_answer_is_none(interceptor: HttpInterceptor, answer: bytes) -> None:
    async with answering(answer) as (port, _):
        assert await interceptor.ask(hook(port), INQUIRY) is None


async def test_no_packed_answer_is_asked_for_and_a_plain_one_may_say_that_it_is(interceptor: HttpInterceptor) -> None:
    async with answering(http(b'{"action":"allow"}', encoding=b"Identity")) as (port, heads):
        assert await interceptor.ask(hook(port), INQUIRY) == HookAnswer(action=Action.ALLOW)
    assert [re.findall(rb"(?i)accept-encoding: (.+)\r\n", head) for head in heads] == [[b"identity"]]


async def test_nobody_there_is_no_answer(interceptor: HttpInterceptor, new_port: Callable[[], int]) -> None:
    assert await interceptor.ask(hook(new_port()), INQUIRY) is None
    assert await interceptor.ask(hook(1, url="http://no-such-host.invalid/"), INQUIRY) is None


@pytest.mark.parametrize("host", ["256.1.1.1", "[v1.a]", "[::1", "xn--a.invalid", "a..invalid", "a" * 64 + ".invalid"])
async def test_an_address_that_nobody_can_call_is_no_answer(interceptor: HttpInterceptor, host: str) -> None:
    assert await interceptor.ask(hook(1, url=f"http://{host}/"), INQUIRY) is None


def takes(url: str) -> bool:
    """Whether a hook may have the address."""
    try:
        check_hook(NewHook(url=url, secret=SECRET))
    except InvalidRequest:
        return False
    return True


@given(st.text("0129.:[]%@\\vax-_~", max_size=20))
@example("256.1.1.1")
@example("010.0.0.1")
@example("[v1.a]")
@example("[::1]a:80")
@example("a[::1]")
@example("[1.2.3.4]")
@example("a:+1")
@example("a:0")
def test_what_a_hook_may_have_is_an_address_for_the_client(netloc: str) -> None:
    if takes(f"http://{netloc}/"):
        url = httpx.URL(f"http://{netloc}/")
        assert url.raw_host
        assert url.port != 0


@pytest.mark.parametrize(
    "host", ["Mall.example", "mall_1.example:8443", "8.8.8.8:80", "[2001:db8::1]:443", "1.2.3.example"]
)
def test_hosts_that_a_hook_may_have(host: str) -> None:
    assert takes(f"https://{host}")
    assert takes(f"HTTP://{host}/vns?token=1")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "[::1]", "169.254.169.254"])
async def test_a_tenant_cannot_have_the_operator_s_own_servers_called(host: str) -> None:
    async with HttpInterceptor(HookSettings(hooks_private=False)) as guarded:
        assert await guarded.ask(hook(1, url=f"http://{host}:80/"), INQUIRY) is None
    with pytest.raises(OSError, match="no public address"):
        await Addresses(private=False).of("127.0.0.1", 80)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"action":"refuse","reason":"unreachable"}', HookAnswer(action=Action.REFUSE, reason=Reason.UNREACHABLE)),
        (b'{"action":"refuse","reason":"because"}', HookAnswer(action=Action.REFUSE)),
        (b'{"action":"refuse","reason":7}', HookAnswer(action=Action.REFUSE)),
        (b'{"action":"allow","more":[]}', HookAnswer(action=Action.ALLOW)),
        (b"[]", None),
        (b"[" * 4000, None),
        (None, None),
    ],
)
def test_answers(content: bytes | None, expected: HookAnswer | None) -> None:
    assert read_answer(content) == expected


async def hooked(world: World, port: int, *, deadline_ms: int = 1500, on_failure: OnFailure = OnFailure.ALLOW) -> None:
    new = NewHook(url=f"http://127.0.0.1:{port}/vns", secret=SECRET, deadline_ms=deadline_ms, on_failure=on_failure)
    await Hooks(world.db, world.keyring, world.clock).put(world.mall, new)


async def called(world: World, interceptor: HttpInterceptor | None, dialled: str = DIGITS_SAFE) -> Begun:
    number, call_id = parse(dialled), uuid4()
    question = Question(vn=number.key, caller=parse(STRANGER), channel=Channel.VOICE, at=world.clock.now())
    calls = Calls(world.db, world.router, world.clock, interceptor=interceptor)
    return await calls.begin(
        Attempt(call_id=call_id, dialled=number, question=question, bridge="a", channel=f"vns-{call_id}")
    )


def reason(begun: Begun) -> Reason | None:
    decision = begun.routed.decision
    return decision.reason if isinstance(decision, Refuse) else None


async def test_a_call_is_connected_or_refused_as_the_hook_says(
    world: World, interceptor: HttpInterceptor, receiver: int
) -> None:
    await world.allocate(reference="order-1")
    await world.allocate(reference="hold-1")
    await hooked(world, receiver)
    allowed = await called(world, interceptor)
    assert isinstance(allowed.routed.decision, Connect)
    assert [target.digits for target in allowed.routed.targets] == [CUSTOMER]
    refused = await called(world, interceptor, "050410000001")
    assert reason(refused) is Reason.BUSY
    async with world.db.connection() as connection:
        rows = await connection.fetch("select result, direction, tenant_id from calls order by vn")
    assert [tuple(row) for row in rows] == [
        ("in_progress", "to_real", world.mall.tenant_id),
        ("busy", "none", world.mall.tenant_id),
    ]


@pytest.mark.parametrize("on_failure", OnFailure)
async def test_a_silent_hook_is_left_at_its_deadline(
    world: World, interceptor: HttpInterceptor, on_failure: OnFailure
) -> None:
    await world.allocate()
    async with answering(None) as (port, _):
        await hooked(world, port, deadline_ms=50, on_failure=on_failure)
        begun = await called(world, interceptor)
    assert reason(begun) is (None if on_failure is OnFailure.ALLOW else Reason.NOT_ALLOWED)


@pytest.mark.parametrize("on_failure", OnFailure)
async def test_whatever_goes_wrong_at_a_hook_the_tenant_s_word_holds(
    world: World, interceptor: HttpInterceptor, on_failure: OnFailure
) -> None:
    """An answer too deep to be read, and an address set before such ones were refused."""
    expected = None if on_failure is OnFailure.ALLOW else Reason.NOT_ALLOWED
    await world.allocate()
    async with answering(http(b"[" * 4000)) as (port, heads):
        await hooked(world, port, on_failure=on_failure)
        assert reason(await called(world, interceptor)) is expected
    assert len(heads) == 1
    async with world.db.connection() as connection:
        await connection.execute("update intercept_hooks set url = 'http://256.1.1.1/'")
    assert reason(await called(world, interceptor)) is expected


async def test_without_an_interceptor_a_hook_has_failed(world: World) -> None:
    await world.allocate()
    await hooked(world, 1, on_failure=OnFailure.REFUSE)
    assert reason(await called(world, None)) is Reason.NOT_ALLOWED


async def test_a_binding_whose_rules_say_so_is_not_asked_about(world: World, interceptor: HttpInterceptor) -> None:
    await world.allocate(rules=checked({"intercept": False}))
    await hooked(world, 1, on_failure=OnFailure.REFUSE)
    assert reason(await called(world, interceptor)) is None


@pytest.mark.parametrize(("reference", "moved"), [("order-1", True), ("hold-1", False)])
async def test_only_a_call_that_the_hook_allows_moves_a_sliding_end(
    world: World, interceptor: HttpInterceptor, receiver: int, reference: str, moved: bool
) -> None:
    binding = await world.allocate(reference=reference, ttl_seconds=600, service=Service.VOIP)
    await hooked(world, receiver)
    for one in ("call", "text"):
        world.clock.move(seconds=100)
        before = (await world.bindings.get(world.mall, binding.id)).expires_at
        if one == "call":
            await called(world, interceptor, DIGITS_VOIP)
        else:
            messages = Messages(world.db, world.router, world.keyring, world.clock, interceptor=interceptor)
            await messages.receive(text(world))
        after = (await world.bindings.get(world.mall, binding.id)).expires_at
        assert (after != before) is moved


async def test_nobody_is_asked_about_a_call_that_is_refused_anyway(world: World, interceptor: HttpInterceptor) -> None:
    binding = await world.allocate()
    await world.bindings.release(world.mall, binding.id)
    async with answering(http(b'{"action":"allow"}')) as (port, heads):
        await hooked(world, port)
        assert reason(await called(world, interceptor)) is Reason.ENDED
    assert heads == []


async def test_a_number_released_while_the_hook_thinks_is_not_connected(
    world: World, interceptor: HttpInterceptor
) -> None:
    binding = await world.allocate()

    class Slow:
        async def ask(self, hook: Hook, inquiry: Inquiry) -> HookAnswer | None:
            assert inquiry.binding_id == binding.id
            await world.bindings.release(world.mall, binding.id)
            return HookAnswer(action=Action.ALLOW)

    await hooked(world, 1)
    assert reason(await called(world, Slow())) is Reason.ENDED  # type: ignore[arg-type]  # the port, not the client


async def test_what_was_changed_while_the_hook_thinks_holds(world: World) -> None:
    binding = await world.allocate()

    class Slow:
        async def ask(self, hook: Hook, inquiry: Inquiry) -> HookAnswer | None:
            await world.bindings.change(world.mall, binding.id, BindingChange(real_number=parse(OTHER)))
            return HookAnswer(action=Action.ALLOW)

    await hooked(world, 1)
    begun = await called(world, Slow())  # type: ignore[arg-type]  # the port, not the client
    assert [target.digits for target in begun.routed.targets] == [OTHER]
    async with world.db.connection() as connection:
        [row] = await connection.fetch("select to_index, to_masked from calls")
    assert tuple(row) == (world.keyring.index(OTHER), parse(OTHER).masked)


def text(world: World, dialled: str = DIGITS_VOIP) -> Arrival:
    return Arrival(id=uuid4(), link="a", session="s", sender=STRANGER, dialled=dialled, text="hello")


async def test_texts_are_asked_about_too_and_only_once(
    world: World, interceptor: HttpInterceptor, receiver: int
) -> None:
    await world.allocate(service=Service.VOIP, reference="order-1")
    await world.allocate(service=Service.VOIP, reference="hold-1")
    await hooked(world, receiver)
    messages = Messages(world.db, world.router, world.keyring, world.clock, interceptor=interceptor)
    received, queued = await messages.receive(text(world))
    assert received.status is Status.QUEUED
    assert queued is not None
    refused, nothing = await messages.receive(text(world, "07080000001"))
    assert (refused.status, nothing) == (Status.REFUSED, None)
    async with answering(http(b'{"action":"allow"}')) as (port, heads):
        await hooked(world, port)
        arrival = text(world)
        for _ in range(2):
            await messages.receive(arrival)
    assert len(heads) == 1
    async with world.db.connection() as connection:
        reasons = await connection.fetch("select status, reason from messages order by received_at, npro_id")
    assert [tuple(row) for row in reasons] == [("queued", None), ("refused", "busy"), ("queued", None)]
