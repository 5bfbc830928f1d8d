"""Which parts of a carrier are simulated on one machine."""

import re
from pathlib import Path

import pytest

from local.parts import addresses, environment, pictures_folder
from local.settings import LocalSettings
from local.up import wanted_ports


@pytest.mark.parametrize(
    ("named", "simulated"),
    [
        ({}, True),
        ({"VNS_MM7_LINKS": "[]", "VNS_SMPP_LINKS": "[]"}, True),
        ({"VNS_SMPP_URL": "smpp://id:secret@192.0.2.7:2775"}, False),
        ({"VNS_SMPP_LINKS": '[{"url": "smpp://id:secret@192.0.2.7"}]'}, False),
        ({"VNS_MM7_URL": "http://id:secret@192.0.2.7/mm7"}, False),
        ({"VNS_MM7_LINKS": '[{"url": "http://id:secret@192.0.2.7/mm7"}]'}, False),
    ],
)
def test_an_mmsc_is_simulated_where_no_carrier_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: dict[str, str], *, simulated: bool
) -> None:
    monkeypatch.setenv("VNS_RUN_DIR", str(tmp_path))
    for name in ("VNS_DATABASE_URL", "VNS_NPRO_DATABASE_URL"):
        monkeypatch.setenv(name, "postgresql://vns@192.0.2.7/vns")
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    settings = LocalSettings()
    ports = {one.setting: one.port for one in wanted_ports(settings)}
    expected = {"VNS_MMSC_PORT": 2776, "VNS_MM7_LISTEN": 2780} if simulated else {}
    assert {name: port for name, port in ports.items() if name in ("VNS_MMSC_PORT", "VNS_MM7_LISTEN")} == expected
    where = addresses(settings, None)
    url = environment(settings, where, [tmp_path]).get("VNS_MM7_URL")
    if simulated:
        assert url is not None
        assert re.fullmatch(r"http://vns:[0-9a-zA-Z_-]{8,}@127\.0\.0\.1:2776/mm7", url)
    else:
        assert url == named.get("VNS_MM7_URL")
        assert where.mm7_url is None


@pytest.mark.parametrize(("length", "fits"), [(67, True), (68, False)])
def test_pictures_lie_where_the_tables_have_room_for_the_path(
    monkeypatch: pytest.MonkeyPatch, length: int, *, fits: bool
) -> None:
    monkeypatch.delenv("VNS_MMS_FILES_PATH", raising=False)
    monkeypatch.setenv("VNS_RUN_DIR", "/" + "r" * (length - len("//mms-files")))
    folder = pictures_folder(LocalSettings())
    assert (folder is not None) is fits
    assert folder is None or len(folder) == length
    monkeypatch.setenv("VNS_MMS_FILES_PATH", "/elsewhere")
    assert pictures_folder(LocalSettings()) == "/elsewhere"
