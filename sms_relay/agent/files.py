"""Looks into the files that a content row names, when the message is to be sent and not when it was inserted."""

import asyncio
import logging
from pathlib import Path

from sms_relay.agent.checks import Content, NamedFile, Row
from sms_relay.content.barcodes import NoBarcodeError, from_columns
from sms_relay.content.images import MOST_BYTES
from sms_relay.content.multimedia import (
    MediaFile,
    TooLargeError,
    UnreadableTextError,
    UnsuitableError,
    check_files,
    merged,
)
from sms_relay.npro.codes import Detail, MessageType
from sms_relay.npro.text import fits_body

_log = logging.getLogger(__name__)


async def fault(row: Row) -> Detail | None:
    """What is wrong with the body, files and barcode of a row; None: nothing."""
    return None if row.content is None else await asyncio.to_thread(_fault, row.content, row.kind, row.seq)


def _fault(content: Content, kind: int, seq: int) -> Detail | None:
    if content.body and not fits_body(content.body):
        return Detail.BODY_TOO_LONG
    try:
        files = [_read(file) for file in content.named]
        if kind == MessageType.BARCODE and content.barcode is not None:
            merged(files, from_columns(content.barcode), content.merged_into)
        check_files(files)
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
        return None
    _log.info("row %d: %s", seq, why)
    return found


def _read(file: NamedFile) -> MediaFile:
    """No more than one byte beyond what any carrier takes is read. Raises OSError, also for what is no plain file."""
    path = Path(file.path)
    if not path.is_absolute() or not path.is_file():
        raise FileNotFoundError
    with path.open("rb") as opened:
        data = opened.read(MOST_BYTES + 1)
    return MediaFile(number=file.number, kind=file.kind, network=file.network, data=data)
