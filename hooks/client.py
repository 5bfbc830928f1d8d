"""The HTTP behind vns.routing.intercept.Interceptor: one client, whose connections stay open between calls."""

import json
import logging
import time
from typing import Any, Final, Self

import httpx

from hooks.addresses import Addresses
from hooks.settings import HookSettings
from hooks.signing import HEADER, signature
from vns.numbering.rules import digits_of
from vns.routing.intercept import Action, HookAnswer, Inquiry
from vns.routing.rules import Reason
from vns.routing.service import Hook

log = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log each address, and a tenant may keep a token in it

LONGEST_ANSWER: Final = 4_096  # bytes
_PORTS: Final = {"http": 80, "https": 443}


class HttpInterceptor:
    """Ends with `close()`. Neither redirects nor proxies of the environment are followed."""

    def __init__(self, settings: HookSettings | None = None) -> None:
        self._addresses = Addresses(private=(settings or HookSettings()).hooks_private)
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(5.0),  # whoever asks keeps a shorter deadline
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=512, max_keepalive_connections=128, keepalive_expiry=60.0),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def ask(self, hook: Hook, inquiry: Inquiry) -> HookAnswer | None:
        """None for a server that is not there, refuses, or says something else than an answer. Raises nothing else."""
        body = told(inquiry)
        host = "what is no address"
        try:
            url = httpx.URL(hook.url)
            host = url.raw_host.decode()  # `host` would raise for what only looks like a name of another alphabet
            content = await self._post(url, host, body, signature(hook.secret, int(time.time()), body))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            log.warning("hook at %s: %s", host, type(error).__name__)
            return None
        answer = read_answer(content)
        if answer is None:
            log.warning("hook at %s: no answer of the documented form", host)
        return answer

    async def _post(self, url: httpx.URL, host: str, body: bytes, signed: str) -> bytes | None:
        """The body of a 200 answer. The address is resolved here, so that what was checked is what is called."""
        address = await self._addresses.of(host, url.port or _PORTS[url.scheme])
        request = self._client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={
                "Host": url.netloc.decode(),
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
                HEADER: signed,
            },
            extensions={"sni_hostname": host},
        )
        response = await self._client.send(request, stream=True)
        try:
            if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                return None  # never unpacked: a few bytes may stand for more than there is memory
            content = b""
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > LONGEST_ANSWER:
                    return None
            return content if response.status_code == httpx.codes.OK else None
        finally:
            await response.aclose()


def told(inquiry: Inquiry) -> bytes:
    """What a hook is sent. The caller is masked, and no other real number is in it."""
    fields: dict[str, Any] = {
        "binding_id": str(inquiry.binding_id),
        "virtual_number": digits_of(inquiry.vn),
        "reference": inquiry.reference,
        "caller": inquiry.caller,
        "channel": inquiry.channel.value,
        "at": inquiry.at.isoformat().replace("+00:00", "Z"),
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def read_answer(content: bytes | None) -> HookAnswer | None:
    """`{"action": "allow"}` or `{"action": "refuse", "reason": …}`; None for anything else."""
    try:
        fields = json.loads(content or b"")
        action = Action(fields["action"])
    except (ValueError, TypeError, KeyError, RecursionError):  # the last for lists in lists in lists
        return None
    try:
        return HookAnswer(action=action, reason=Reason(fields.get("reason", Reason.NOT_ALLOWED)))
    except (ValueError, RecursionError):
        return HookAnswer(action=action)
