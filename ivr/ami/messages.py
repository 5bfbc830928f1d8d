"""What the manager interface says, as values with fields of their own: panoramisk reads a missing header as ''."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VerificationEnded:
    """The line about one attempt at a verification call, see ivr.verification.records."""

    record: str


@dataclass(frozen=True, slots=True)
class ChannelListed:
    unique_id: str


@dataclass(frozen=True, slots=True)
class OtherEvent:
    name: str


Event = VerificationEnded | ChannelListed | OtherEvent


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to an action: for a list, with the events that belong to it. `system_name`: CoreSettings tells it."""

    success: bool
    message: str
    events: tuple[Event, ...] = ()
    system_name: str = ""


class MalformedMessage(ValueError):
    """A message lacks what its kind must have, or has it twice: a part of it was written by somebody else."""


def event_of(headers: Mapping[str, object]) -> Event:
    """Raises MalformedMessage."""
    name = headers.get("Event", "")
    if not isinstance(name, str):  # panoramisk makes a list of a header that comes twice
        raise MalformedMessage("an event of several kinds")
    if name == "UserEvent" and headers.get("UserEvent") == "VnsVerificationEnded":
        return VerificationEnded(_needed(headers, "Record"))
    if name == "CoreShowChannel":
        return ChannelListed(_needed(headers, "Uniqueid"))
    return OtherEvent(name)


def _needed(headers: Mapping[str, object], name: str) -> str:
    value = headers.get(name)
    if not isinstance(value, str) or not value:
        raise MalformedMessage(f"an event without {name}, or with several")
    return value
