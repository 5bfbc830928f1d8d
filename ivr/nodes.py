"""The Asterisks of one installation: how they are told apart, and where each is reached."""

import hmac
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")
ONLY = "vns"  # what an Asterisk is called that is the only one and was given no name


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One Asterisk. `name`: its system name, which goes before every channel's unique id; None where it is the only
    one and may have any. `records`: the folder of its call records, as a bridge sees it.
    """

    name: str | None
    ami_url: str = field(repr=False)  # holds a secret
    records: Path

    @property
    def recordings(self) -> Path:
        """Where it records calls; bridges take the files away as soon as a call ends."""
        return self.records.parent / "recordings"

    @property
    def question_token(self) -> str:
        """By which a bridge knows that this Asterisk asks. Raises ValueError."""
        return question_token(self.ami_url)

    @property
    def prompts(self) -> Path:
        return self.records.parent / "prompts"


def nodes_of(ami_urls: tuple[str, ...], records: tuple[Path, ...]) -> tuple[Node, ...]:
    """`ami://user:secret@host:port/name` and the folder of records of each. Raises ValueError."""
    if len(ami_urls) != len(records):
        raise ValueError("each Asterisk has a folder of call records of its own: as many of these as of AMI addresses")
    names = [_name_of(url) for url in ami_urls]
    if len(names) > 1 and (None in names or len(set(names)) < len(names)):
        raise ValueError("of several Asterisks each has a name of its own: ami://user:secret@host:port/name")
    if len(set(records)) < len(records):
        raise ValueError("two Asterisks never share a folder of call records")
    return tuple(
        Node(name=name, ami_url=url, records=folder) for name, url, folder in zip(names, ami_urls, records, strict=True)
    )


def _name_of(url: str) -> str | None:
    name = urlsplit(url).path.removeprefix("/")
    if name and not NAME.fullmatch(name):
        raise ValueError("an Asterisk's name is 1 to 32 letters, digits and hyphens, and begins with no hyphen")
    return name or None


def question_token(ami_url: str) -> str:
    """64 hexadecimal digits that only an Asterisk and its bridges know, as they know the manager's secret.

    Raises ValueError.
    """
    secret = split_ami_url(ami_url)[3]
    return hmac.new(secret.encode(), b"question", "sha256").hexdigest()


def split_ami_url(url: str) -> tuple[str, int, str, str]:
    """Host, port, user and secret of `ami://user:secret@host:port`. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "ami" or not parts.hostname or not parts.username or parts.password is None:
        raise ValueError("VNS_AMI_URL is ami://user:secret@host:port")
    return parts.hostname, parts.port or 5038, unquote(parts.username), unquote(parts.password)
