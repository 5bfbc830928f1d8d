"""Messages that reached a handset: one JSON object a line, the files beside it."""

import json
from datetime import UTC, datetime
from pathlib import Path

from simulators.mmsc.submits import Submit


class Outbox:
    """Lines have the keys of the SMSC simulator's, so that both may write into one file. Not synced to disk."""

    def __init__(self, file: Path, folder: Path) -> None:
        """`folder`: gets a folder for each message with files."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file.open("ab", buffering=0)  # each write is one append: others may write into it too
        file.chmod(0o600)  # numbers and texts of people, in development too
        self._folder = folder

    def add(self, submit: Submit, message_id: str, account: str) -> None:
        folder = self._folder / message_id
        folder.mkdir(parents=True, mode=0o700)
        files = []
        for one in submit.files:
            path = folder / one.name
            path.write_bytes(one.data)
            files.append({"name": one.name, "content_type": one.content_type, "path": str(path)})
        record = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "from": submit.source,
            "to": submit.destination,
            "text": submit.text,
            "subject": submit.subject,
            "files": files,
            "parts": 1,
            "message_id": message_id,
            "system_id": account,
        }
        self._file.write((json.dumps(record, ensure_ascii=False) + "\n").encode())

    def close(self) -> None:
        self._file.close()
