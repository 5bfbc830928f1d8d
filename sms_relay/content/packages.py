"""The files of a multimedia message in one file of our own, a ZIP without compression. Pure.

The first entry, `package.json`, lists the files in their order: entry, number, kind, network.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Final

from sms_relay.content.images import MOST_BYTES
from sms_relay.content.multimedia import EVERYWHERE, MediaFile, MediaKind

SUFFIX: Final = ".skn"
_LIST: Final = "package.json"
_ENDINGS: Final = {MediaKind.IMAGE: "jpg", MediaKind.TEXT: "txt", MediaKind.AUDIO: "mmf"}


class BadPackageError(ValueError):
    """What is there is no package, or not a whole one."""


def packed(files: Sequence[MediaFile]) -> bytes:
    """The files, checked before, as one."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        named = [(f"{file.number}.{_ENDINGS[MediaKind(file.kind)]}", file) for file in files]
        listed = [
            {"entry": name, "number": file.number, "kind": file.kind, "network": file.network} for name, file in named
        ]
        archive.writestr(_LIST, json.dumps(listed))
        for name, file in named:
            archive.writestr(name, file.data)
    return out.getvalue()


def unpacked(raw: bytes) -> tuple[MediaFile, ...]:
    """Raises `BadPackageError`."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            return tuple(
                MediaFile(
                    number=int(one["number"]),
                    kind=MediaKind(one["kind"]).value,
                    network=str(one["network"]),
                    data=_entry(archive, one["entry"]),
                )
                for one in json.loads(_entry(archive, _LIST))
            )
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, NotImplementedError) as error:
        raise BadPackageError(type(error).__name__) from error


def _entry(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MOST_BYTES:
        raise BadPackageError("an entry larger than any file")
    return archive.read(name)


def for_network(files: Sequence[MediaFile], network: str | None) -> tuple[MediaFile, ...]:
    """Those for every carrier and for this one; `network` None: whose customer the recipient is is not known."""
    return tuple(file for file in files if file.network in (EVERYWHERE, network))
