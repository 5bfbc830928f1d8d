"""A file of sender numbers as people make it: by LibreOffice, for Excel 2003, with mistakes."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SenderFile:
    """A thousand rows. `malformed` and `doubled`: the places of those that cannot be registered, counted from 0."""

    texts: list[str]
    malformed: frozenset[int]
    doubled: frozenset[int]
    content: bytes


def sender_file_in(folder: Path) -> SenderFile:
    texts = [f"02-{2000 + place // 10}-{place:04}" for place in range(1_000)]
    malformed = {place: ("02-12", "abc", "112", "1588-12345")[place % 4] for place in range(5, 1_000, 25)}
    doubled = {place: texts[place - 3] for place in range(16, 1_000, 50)}
    for place, text in (malformed | doubled).items():
        texts[place] = text
    assert (len(malformed), len(doubled)) == (40, 20)
    return SenderFile(texts, frozenset(malformed), frozenset(doubled), written_by_libreoffice(folder, texts))


def written_by_libreoffice(folder: Path, texts: list[str]) -> bytes:
    """An Excel 2003 file; the column is text, as people who know of leading zeros make it."""
    source = folder / "numbers.csv"
    source.write_text("\n".join(texts) + "\n", encoding="utf-8")
    office = shutil.which("soffice")
    assert office, "bin/test installs LibreOffice"
    profile = f"-env:UserInstallation=file://{folder}/office"
    as_text = "--infilter=CSV:44,34,UTF8,1,1/2"
    command = [office, profile, "--headless", as_text, "--convert-to", "xls:MS Excel 97", "--outdir", str(folder)]
    subprocess.run([*command, str(source)], check=True, capture_output=True, timeout=300)
    return (folder / "numbers.xls").read_bytes()
