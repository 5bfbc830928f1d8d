"""A handset: hands a multimedia message to the MMSC, as library and as `python -m simulators.mmsc.handset`."""

import argparse
import asyncio
import base64
import json
import mimetypes
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from simulators.mmsc import http
from simulators.mmsc.delivers import PATH, HandsetFile, HandsetMessage

PATIENCE: Final = 15.0  # seconds


class HandsetError(Exception):
    """The MMSC refused, or did not answer."""


async def send(url: str, message: HandsetMessage) -> str:
    """`url`: http://id:password@host:port of the MMSC. Returns the message's id. Raises HandsetError, OSError."""
    where = urlsplit(url)
    account = f"{unquote(where.username or '')}:{unquote(where.password or '')}"
    head = {
        "Host": f"{where.hostname}:{where.port}",
        "Authorization": f"Basic {base64.b64encode(account.encode()).decode()}",
        "Content_Type": "application/json",
    }
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(where.hostname, where.port or 80)
            try:
                writer.write(http.post(PATH, message.model_dump_json().encode(), **head))
                await writer.drain()
                answer = await http.read(reader)
            finally:
                writer.close()
    except (EOFError, http.BadHttp) as error:
        raise HandsetError("the MMSC closed the connection") from error
    if answer.first[1] != "200":
        raise HandsetError(f"the MMSC refused: {' '.join(answer.first[1:])}")
    message_id: str = json.loads(answer.body)["message_id"]
    return message_id


def files_of(paths: Sequence[Path]) -> tuple[HandsetFile, ...]:
    """Raises OSError."""
    return tuple(
        HandsetFile(
            name=path.name,
            content_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            data=base64.b64encode(path.read_bytes()).decode(),
        )
        for path in paths
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Sends a multimedia message as a handset.")
    parser.add_argument("--mmsc", required=True, help="http://id:password@host:port")
    parser.add_argument("--from", dest="source", required=True)
    parser.add_argument("--to", dest="destination", required=True)
    parser.add_argument("--subject", default="")
    parser.add_argument("--text", default="")
    parser.add_argument("files", nargs="*", type=Path)
    given = parser.parse_args()
    try:
        message = HandsetMessage(
            source=given.source,
            destination=given.destination,
            subject=given.subject,
            text=given.text,
            files=files_of(given.files),
        )
        print(asyncio.run(send(given.mmsc, message)))
    except (HandsetError, OSError, TimeoutError, ValueError) as error:
        print(error or type(error).__name__, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
