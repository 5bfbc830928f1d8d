"""The text of an npro.conf: key=value lines, in UTF-8 or in MS949 (EUC-KR)."""

from collections.abc import Mapping
from pathlib import Path

from sms_relay.standalone.errors import ConfRefused, Refusal


def read(path: Path) -> Mapping[str, str]:
    """Values by key, keys in lower case. Raises ConfRefused."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfRefused(Refusal.UNREADABLE, f"{path.name}: {type(error).__name__}") from error
    return parse(decode(content))


def decode(content: bytes) -> str:
    """MS949 text is no valid UTF-8 but by rare accident; plain ASCII is the same in both. Raises ConfRefused."""
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ConfRefused(Refusal.UNREADABLE, "the file is neither UTF-8 nor MS949 (EUC-KR)")


def parse(text: str) -> Mapping[str, str]:
    """`#`, `;` and `!` begin a comment line; spaces around key and value do not count. Values are taken as they stand:
    a backslash is a backslash. Raises ConfRefused.
    """
    found: dict[str, str] = {}
    for at, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;!":
            continue
        key, separator, value = (piece.strip() for piece in stripped.partition("="))
        if not separator or not key:
            raise ConfRefused(Refusal.BAD_LINE, f"line {at} is no key=value")
        if key.lower() in found:
            raise ConfRefused(Refusal.TWICE, f"line {at}: {key.lower()} is set a second time")
        found[key.lower()] = value
    return found
