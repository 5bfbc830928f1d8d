"""Whether the files of a multimedia message are what carriers take. Pure.

Limits: a TXT of 2,000 bytes in MS949; three JPG pictures, each of 200 KB and 1,500 pixels a side; sounds in MA3
(SMAF) sampled at 16 kHz at most; no film.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sms_relay.content.audio import BadAudioError, check_smaf
from sms_relay.content.barcodes import Barcode, NoBarcodeError, merge
from sms_relay.content.images import BadImageError, LargeImageError, read_jpeg

MOST_TEXT: Final = 2_000  # bytes in MS949
MOST_IMAGES: Final = 3
EVERYWHERE: Final = "ALL"
NETWORKS: Final = ("SKT", "KTF", "LGT")


class MediaKind(Enum):
    """FILE_TYPE; a film (MOV) is no kind that any carrier takes."""

    TEXT = "TXT"
    IMAGE = "IMG"
    AUDIO = "ADO"


class UnsuitableError(ValueError):
    """No handset would take this file. The message says why, without any of it."""


class TooLargeError(ValueError):
    """A file is larger than carriers take."""


class UnreadableTextError(ValueError):
    """A text file is not in MS949."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """A file as a content row names it, read. `number`: which of the five. `network`: the carrier it is for, or ALL."""

    number: int
    kind: str
    network: str
    data: bytes

    def __repr__(self) -> str:
        return f"MediaFile({self.number}, {len(self.data)} bytes)"


def checked(files: Sequence[MediaFile]) -> tuple[MediaFile, ...]:
    """The same, kind and network as `MediaKind` and `NETWORKS` spell them.

    Raises `UnsuitableError`, `TooLargeError`, `UnreadableTextError` for the first that no carrier takes.
    """
    for file in files:
        _check(file)
    for network in NETWORKS:
        shown = [one for one in files if _kind(one) is MediaKind.IMAGE and _network(one) in (EVERYWHERE, network)]
        if len(shown) > MOST_IMAGES:
            raise UnsuitableError(f"more than {MOST_IMAGES} pictures for one carrier")
    return tuple(
        MediaFile(number=file.number, kind=_kind(file).value, network=_network(file), data=file.data) for file in files
    )


def merged(files: Sequence[MediaFile], barcode: Barcode, number: int) -> bytes:
    """File `number` with the barcode on it. Raises `NoBarcodeError`, also where that file is no picture."""
    for file in files:
        if file.number == number and _kind(file) is MediaKind.IMAGE:
            try:
                return merge(file.data, barcode)
            except BadImageError as error:
                raise NoBarcodeError("the picture under it cannot be read") from error
    raise NoBarcodeError("BAR_MERGE_FILE names no picture")


def _kind(file: MediaFile) -> MediaKind:
    try:
        return MediaKind(file.kind.strip().upper())
    except ValueError:
        raise UnsuitableError("FILE_TYPE is none of TXT, IMG, ADO") from None


def _network(file: MediaFile) -> str:
    network = file.network.strip().upper() or EVERYWHERE
    if network not in (EVERYWHERE, *NETWORKS):
        raise UnsuitableError("SERVICE_DEP is none of ALL, SKT, KTF, LGT")
    return network


def _check(file: MediaFile) -> None:
    _network(file)
    kind = _kind(file)
    try:
        if kind is MediaKind.TEXT:
            _check_text(file.data)
        elif kind is MediaKind.IMAGE:
            read_jpeg(file.data)
        else:
            check_smaf(file.data)
    except LargeImageError as error:
        raise TooLargeError(str(error)) from error
    except (BadImageError, BadAudioError) as error:
        raise UnsuitableError(str(error)) from error


def _check_text(data: bytes) -> None:
    if len(data) > MOST_TEXT:
        raise TooLargeError(f"a text of {len(data)} bytes; {MOST_TEXT} are the most")
    try:
        data.decode("cp949")
    except UnicodeDecodeError as error:
        raise UnreadableTextError("not in MS949") from error
