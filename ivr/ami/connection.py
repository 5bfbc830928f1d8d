"""One connection to the manager interface. The only module that knows panoramisk's.

What panoramisk 1.4 does that must not happen is switched off here; tests/ivr/test_ami_wire.py keeps the list. In short:
it connects again by itself and then repeats what was unanswered, it never says that a login failed, it never misses an
answer to its pings, and its events run callbacks that may break the connection.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Self

from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager

from ivr.ami.actions import Action
from ivr.ami.messages import Event, MalformedMessage, Reply, event_of
from ivr.nodes import split_ami_url

log = logging.getLogger(__name__)

LOGIN_TIMEOUT = 5.0  # seconds from connecting until logged in
ACTION_TIMEOUT = 5.0  # seconds for an answer
LONGEST_MESSAGE = 256 * 1024  # characters without an end of message before the other side counts as broken


class AmiUnavailable(Exception):
    """There is no manager interface, it does not take the login, or it went away before it answered."""


class _Protocol(AMIProtocol):  # type: ignore[misc]  # panoramisk has no type hints
    """A sender without end is cut off rather than kept in memory."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.queue and len(self.queue[-1]) > LONGEST_MESSAGE:
            log.error("the manager interface sent a message without end")
            self.transport.abort()


class _OnceManager(Manager):  # type: ignore[misc]  # panoramisk has no type hints
    """A Manager that is connected once, by `AmiConnection.open`, and never again."""

    def __init__(self, on_event: Callable[[Event], None], **config: Any) -> None:
        super().__init__(**config)
        self._on_event = on_event
        self.logged_in: asyncio.Future[bool] = self.loop.create_future()
        self.gone = asyncio.Event()

    def connect(self, *_: object, **__: object) -> None:
        """panoramisk calls this to connect again. A new connection is a new object: see ivr.ami.supervisor."""

    def ping(self) -> None:
        """panoramisk's own ping never looks at the answer; the supervisor's does."""

    def login(self, future: "asyncio.Future[Any]") -> None:
        if future.cancelled() or self.logged_in.done():
            return
        self.authenticated = bool(future.result().success)
        self.logged_in.set_result(self.authenticated)

    def dispatch(self, event: Any) -> None:
        """Never raises: an error here would cost the connection."""
        try:
            self._on_event(event_of(event))
        except MalformedMessage as error:
            log.warning("the manager interface: %s", error)

    def connection_lost(self, exc: object) -> None:
        self.gone.set()


class AmiConnection:
    """A logged-in connection. It ends once, with `close()` or by itself; `wait_gone()` tells when."""

    def __init__(self, manager: _OnceManager) -> None:
        self._manager = manager

    @classmethod
    async def open(cls, url: str, on_event: Callable[[Event], None], *, login_timeout: float = LOGIN_TIMEOUT) -> Self:
        """`on_event` must be quick and must not raise. Raises AmiUnavailable, also after a refused login."""
        host, port, user, secret = split_ami_url(url)
        loop = asyncio.get_running_loop()
        manager = _OnceManager(
            on_event,
            loop=loop,
            username=user,
            secret=secret,
            # one character for each byte: a character split over two segments would otherwise be lost
            encoding="latin-1",
            log=log.getChild("wire"),
        )
        connection = cls(manager)
        try:
            async with asyncio.timeout(login_timeout):
                made = loop.create_future()
                made.set_result(await loop.create_connection(_Protocol, host, port))
                manager.connection_made(made)
                await connection._login()
        except (OSError, TimeoutError) as error:
            connection.close()
            raise AmiUnavailable("the manager interface does not answer") from error
        except (AmiUnavailable, asyncio.CancelledError):
            connection.close()
            raise
        return connection

    async def _login(self) -> None:
        if not await self._unless_gone(self._manager.logged_in):
            raise AmiUnavailable("the manager interface refused the login")

    async def send(self, action: Action, *, timeout: float = ACTION_TIMEOUT) -> Reply:  # noqa: ASYNC109 - the wire's own deadline
        """Send once and wait for the answer. Raises AmiUnavailable when there is none, sent or not."""
        if self._manager.gone.is_set():
            raise AmiUnavailable("the manager interface is gone")
        fields: dict[str, str | list[str]] = {"Action": action.name}
        for name in dict.fromkeys(name for name, _ in action.headers):
            fields[name] = [value for header, value in action.headers if header == name]
        # without False, an Originate is answered only when the call has been taken, not when it is under way
        future = self._manager.send_action(fields, as_list=None if action.lists else False)
        try:
            async with asyncio.timeout(timeout):
                answer = await self._unless_gone(future)
        except TimeoutError as error:
            raise AmiUnavailable("the manager interface did not answer in time") from error
        finally:
            self._forget(future)
        return _reply(answer, lists=action.lists)

    async def wait_gone(self) -> None:
        await self._manager.gone.wait()

    def close(self) -> None:
        self._manager.close()
        self._manager.gone.set()

    async def _unless_gone(self, future: "asyncio.Future[Any]") -> Any:
        gone = asyncio.ensure_future(self._manager.gone.wait())
        try:
            await asyncio.wait({future, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if not future.done():
            raise AmiUnavailable("the manager interface went away")
        return future.result()

    def _forget(self, future: "asyncio.Future[Any]") -> None:
        """An answer that comes too late finds nobody; panoramisk would keep the question for ever."""
        responses = self._manager.protocol.responses
        for key in [key for key, action in responses.items() if action.future is future]:
            del responses[key]


def _reply(answer: Any, *, lists: bool) -> Reply:
    """panoramisk answers with one message, or with a list of them.

    Raises AmiUnavailable when a part is missing or cannot be read: with that part left out of a list of channels, one
    that is up would seem to be gone.
    """
    first, *rest = answer if isinstance(answer, list) else [answer]
    try:
        events = tuple(event_of(message) for message in rest)
    except MalformedMessage as error:
        raise AmiUnavailable(f"an answer of the manager interface cannot be read: {error}") from error
    if lists and not _is_whole(rest):
        raise AmiUnavailable("the manager interface did not list everything")
    name = first.get("SystemName", "")
    return Reply(
        success=bool(first.success),
        message=str(first.message),
        events=events,
        system_name=name if isinstance(name, str) else "",
    )


def _is_whole(listed: list[Any]) -> bool:
    """Whether the last one says that this is all, and how many there are. A refused list has no such end."""
    if not listed or not str(listed[-1].get("Event", "")).endswith("Complete"):
        return False
    count = str(len(listed) - 1)
    return bool(listed[-1].get("ListItems", count) == count)
