"""The intercept hook as JSON."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from api.wire import In, Out
from vns.routing.hooks import (
    DEFAULT_DEADLINE,
    LONGEST_DEADLINE,
    LONGEST_SECRET,
    LONGEST_URL,
    SHORTEST_DEADLINE,
    SHORTEST_SECRET,
    HookShown,
    NewHook,
)
from vns.routing.service import OnFailure

_EXAMPLE: Final[dict[str, Any]] = {
    "url": "https://calls.mall.example/vns",
    "deadline_ms": 700,
    "on_failure": "allow",
    "changed_at": "2030-01-01T00:00:00Z",
}


class NewHookIn(In):
    """Where to ask before one of your bindings connects anybody; docs/intercept-hook.md says how."""

    url: Annotated[str, StringConstraints(min_length=8, max_length=LONGEST_URL, pattern=r"^https?://[\x21-\x7e]+$")]
    secret: Annotated[
        str,
        StringConstraints(min_length=SHORTEST_SECRET, max_length=LONGEST_SECRET, pattern=r"^[\x20-\x7e]+$"),
        Field(description="Signs what is sent. It is never shown."),
    ]
    deadline_ms: Annotated[int, Field(strict=True, ge=SHORTEST_DEADLINE, le=LONGEST_DEADLINE)] = DEFAULT_DEADLINE
    on_failure: OnFailure = Field(
        default=OnFailure.ALLOW, description="What becomes of a call that the hook does not answer in time."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "https://calls.mall.example/vns", "secret": "a secret of your own, 16 or more"}]
        }
    )

    def hook(self) -> NewHook:
        return NewHook(url=self.url, secret=self.secret, deadline_ms=self.deadline_ms, on_failure=self.on_failure)


class HookOut(Out):
    """The hook, without its secret."""

    url: str
    deadline_ms: int
    on_failure: OnFailure
    changed_at: datetime

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @classmethod
    def of(cls, hook: HookShown) -> "HookOut":
        return cls(url=hook.url, deadline_ms=hook.deadline_ms, on_failure=hook.on_failure, changed_at=hook.changed_at)
