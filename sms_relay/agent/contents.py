"""Files of content rows: read and checked when the first message with them is due, kept as one package for the others.

A package belongs to what the columns say: other columns make another one. That it is built, or could not be, is told
in the content row (BUILD_YN, SKN_FILE_NAME, SKN_FILE_DATE, BAR_FILE_NAME).
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sms_relay.agent.checks import Content, NamedFile, Row
from sms_relay.agent.store import Built, Store
from sms_relay.content.barcodes import NoBarcodeError, from_columns, wrong_check_digit
from sms_relay.content.images import MOST_BYTES
from sms_relay.content.multimedia import (
    MediaFile,
    MediaKind,
    TooLargeError,
    UnreadableTextError,
    UnsuitableError,
    checked,
    merged,
)
from sms_relay.content.packages import SUFFIX, BadPackageError, for_network, packed, unpacked
from sms_relay.links.interface import Carrier, Media
from sms_relay.npro.codes import Detail, MessageType
from sms_relay.npro.database import NproError
from sms_relay.whole_files import write_whole

_log = logging.getLogger(__name__)

REMEMBERED = 32  # packages in memory, of a megabyte each at most
MOST_PACKAGE = 2 * 1024 * 1024  # bytes
MOST_NAME = 255  # what SKN_FILE_NAME and BAR_FILE_NAME hold

_TYPES = {
    MediaKind.IMAGE.value: "image/jpeg",
    MediaKind.TEXT.value: "text/plain",
    MediaKind.AUDIO.value: "application/vnd.smaf",
}

Files = tuple[MediaFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where packages and pictures with barcodes are kept; None: they are not. Customers are told full paths."""

    packages: Path | None = None
    barcodes: Path | None = None

    @classmethod
    def of(cls, packages: Path | None, barcodes: Path | None) -> Self:
        return cls(packages=packages and packages.absolute(), barcodes=barcodes and barcodes.absolute())


@dataclass(frozen=True, slots=True)
class _Made:
    """`picture`: the one with the barcode, where there is one."""

    files: Files
    picture: bytes | None


class Contents:
    """Asked by the Sender. One for each agent."""

    def __init__(self, store: Store, folders: Folders) -> None:
        self._store = store
        self._folders = folders
        self._made: OrderedDict[str, Files] = OrderedDict()
        self._making: dict[str, asyncio.Lock] = {}

    async def fault(self, row: Row) -> Detail | None:
        """What is wrong with files and barcode of a row that cannot be sent anyhow; None: nothing."""
        if row.content is None:
            return None
        made = await asyncio.to_thread(_make, row.content, row.kind, row.seq)
        return made if isinstance(made, Detail) else None

    async def files(self, row: Row) -> Files | Detail:
        """The files of a row, or why it cannot be sent. Of several rows with the same content only one builds."""
        content = row.content
        if content is None:
            return Detail.NO_CONTENT
        name = _name(content, row.kind)
        lock = self._making.setdefault(name, asyncio.Lock())
        async with lock:
            found = await self._found(name, content) or await self._build(name, content, row)
        if not lock.locked():
            self._making.pop(name, None)
        return found

    async def _found(self, name: str, content: Content) -> Files | None:
        """From memory, or from the folder if the row says that it is built."""
        if name in self._made:
            self._made.move_to_end(name)
            return self._made[name]
        folder = self._folders.packages
        if folder is None or content.package != str(folder / name):
            return None
        files = await asyncio.to_thread(_load, folder / name)
        if files is not None:
            self._remember(name, files)
        return files

    def _remember(self, name: str, files: Files) -> None:
        self._made[name] = files
        while len(self._made) > REMEMBERED:
            self._made.popitem(last=False)

    async def _build(self, name: str, content: Content, row: Row) -> Files | Detail:
        made = await asyncio.to_thread(_make, content, row.kind, row.seq)
        if isinstance(made, Detail):
            await self._tell(Built(content=content.seq, done=False))
            return made
        package = await self._keep(self._folders.packages, name, packed(made.files))
        barcode = None
        if made.picture is not None:
            barcode = await self._keep(self._folders.barcodes, f"{name.removesuffix(SUFFIX)}.jpg", made.picture)
        self._remember(name, made.files)
        await self._tell(Built(content=content.seq, done=True, package=package, barcode=barcode))
        return made.files

    async def _keep(self, folder: Path | None, name: str, data: bytes) -> str | None:
        """The path; None where it is not kept, which only means that it is built again one day."""
        if folder is None:
            return None
        try:
            await asyncio.to_thread(_write, folder / name, data)
        except OSError as error:
            _log.warning("%s cannot be kept (%s)", name, type(error).__name__)
            return None
        path = str(folder / name)
        return path if len(path) <= MOST_NAME else None

    async def _tell(self, built: Built) -> None:
        """The message does not wait for the content row: what is not written there is built again one day."""
        try:
            await self._store.mark_built(built)
        except NproError as error:
            _log.warning("content %d: that it is built cannot be written down: %s", built.content, error)


def media(files: Sequence[MediaFile], network: Carrier | None) -> tuple[Media, ...]:
    """What a handset of this carrier gets, texts in UTF-8."""
    chosen = for_network(files, network.value if network else None)
    return tuple(
        Media(
            content_type=_TYPES[file.kind],
            data=file.data.decode("cp949").encode() if file.kind == MediaKind.TEXT.value else file.data,
        )
        for file in chosen
    )


def _name(content: Content, kind: int) -> str:
    """Of a package: content row, kind of message, and a hash of what the columns say of files and barcode."""
    barcode = content.barcode if kind == MessageType.BARCODE else None
    said = (
        [(file.number, file.kind, file.path, file.network) for file in content.named],
        [getattr(barcode, field) for field in type(barcode).__slots__] if barcode is not None else [],
        content.merged_into,
    )
    return f"{content.seq}-{kind}-{hashlib.sha256(repr(said).encode()).hexdigest()[:16]}{SUFFIX}"


def _make(content: Content, kind: int, seq: int) -> _Made | Detail:
    try:
        files = tuple(_read(file) for file in content.named)
        picture = None
        if kind == MessageType.BARCODE and content.barcode is not None:
            barcode = from_columns(content.barcode)
            picture = merged(files, barcode, content.merged_into)
            if wrong_check_digit(barcode):
                _log.warning("row %d: the EAN13 ends in a wrong check digit, readers may refuse it", seq)
        files = checked(files)
    except OSError as error:
        found, why = Detail.FILE_NOT_FOUND, type(error).__name__
    except NoBarcodeError as error:
        found, why = Detail.NO_BARCODE, str(error)
    except TooLargeError as error:
        found, why = Detail.FILE_TOO_LARGE, str(error)
    except UnreadableTextError as error:
        found, why = Detail.NOT_ENCODABLE, str(error)
    except UnsuitableError as error:
        found, why = Detail.FILE_UNSUITABLE, str(error)
    else:
        return _Made(_with(files, content.merged_into, picture), picture)
    _log.info("row %d: %s", seq, why)
    return found


def _with(files: Files, number: int, picture: bytes | None) -> Files:
    """`picture` takes the place of file `number`."""
    if picture is None:
        return files
    return tuple(
        MediaFile(number=file.number, kind=file.kind, network=file.network, data=picture)
        if file.number == number
        else file
        for file in files
    )


def _read(file: NamedFile) -> MediaFile:
    """No more than one byte beyond what any carrier takes is read. Raises OSError, also for what is no plain file."""
    path = Path(file.path)
    if not path.is_absolute() or not path.is_file():
        raise FileNotFoundError
    with path.open("rb") as opened:
        data = opened.read(MOST_BYTES + 1)
    return MediaFile(number=file.number, kind=file.kind, network=file.network, data=data)


def _load(path: Path) -> Files | None:
    """None where it is gone or damaged."""
    try:
        with path.open("rb") as opened:
            return unpacked(opened.read(MOST_PACKAGE))
    except (OSError, BadPackageError) as error:
        _log.info("package %s is built again (%s)", path.name, type(error).__name__)
        return None


def _write(path: Path, data: bytes) -> None:
    """For its owner alone: people's pictures are in it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data, mode=0o600)
