"""Actions that the platform sends. Built here only, so that no value ever adds a line of its own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """A name and its headers; `lists`: the answer is followed by events that belong to it.

    Raises ValueError for a character that could end a line.
    """

    name: str
    headers: tuple[tuple[str, str], ...] = ()
    lists: bool = False

    def __post_init__(self) -> None:
        for text in (self.name, *(part for header in self.headers for part in header)):
            if not (text.isascii() and text.isprintable()):
                raise ValueError("an action holds printable ASCII only")


def ping() -> Action:
    return Action("Ping")


def core_settings() -> Action:
    """Who is it? The answer holds the system name."""
    return Action("CoreSettings")


def hangup(channel: str, cause: int) -> Action:
    """`channel`: name or unique id. `cause`: Q.850."""
    return Action("Hangup", (("Channel", channel), ("Cause", str(cause))))


def list_channels() -> Action:
    return Action("CoreShowChannels", lists=True)


def originate(
    channel: str, *, context: str, extension: str, caller_id: str, timeout_ms: int, variables: dict[str, str]
) -> Action:
    """A call of the platform's own. Always asynchronous: a synchronous one blocks the connection while it rings."""
    headers = [
        ("Channel", channel),
        ("Context", context),
        ("Exten", extension),
        ("Priority", "1"),
        ("CallerID", caller_id),
        ("Timeout", str(timeout_ms)),
        ("Async", "true"),
        *(("Variable", f"{name}={value}") for name, value in variables.items()),
    ]
    return Action("Originate", tuple(headers))
