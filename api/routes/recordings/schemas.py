"""Links to recorded calls as JSON."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from api.wire import In, Out
from vns.recordings.rules import Link

PATH: Final = "/v1/recordings"

_EXAMPLE: Final[dict[str, Any]] = {
    "url": f"{PATH}/019a0000-0000-7000-8000-000000000005?expires=1893553445&signature=6b86b273",
    "expires_at": "2030-01-02T03:04:05Z",
}


class RecordingLink(Out):
    """Whoever has the link may hear the recording until it ends, without a key."""

    url: str = Field(description="Below the address of this API.")
    expires_at: datetime

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @classmethod
    def of(cls, link: Link) -> "RecordingLink":
        return cls(
            url=f"{PATH}/{link.recording_id}?expires={link.expires}&signature={link.signature}",
            expires_at=link.expires_at,
        )


class LinkParts(In):
    """What a link says beside the recording's id."""

    expires: Annotated[str, StringConstraints(max_length=20)] = Field(description="Seconds since 1970.")
    signature: Annotated[str, StringConstraints(max_length=100)]
