"""Settings of the links, from the environment."""

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from sms_relay.links.interface import Carrier
from sms_relay.links.smpp.config import SmppLinkConfig
from sms_relay.npro.codes import ResultCode
from sms_relay.settings import RelaySettings


def test_one_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNS_SMPP_URL", "smpps://id:p%40ss@smsc.example")
    monkeypatch.setenv("VNS_SMPP_CARRIER", "LGT")
    monkeypatch.setenv("VNS_SMPP_WINDOW", "7")
    (link,) = RelaySettings().links()
    assert (link.host, link.port, link.tls, link.system_id, link.password) == ("smsc.example", 2775, True, "id", "p@ss")
    assert (link.carrier, link.window) == (Carrier.LGT, 7)
    assert "p%40ss" not in repr(link)
    assert "p%40ss" not in repr(RelaySettings())


def test_several_links(monkeypatch: pytest.MonkeyPatch) -> None:
    links = [{"name": "a", "url": "smpp://x:y@h:1"}, {"name": "b", "url": "smpp://x:y@h:2", "carrier": "KTF"}]
    monkeypatch.setenv("VNS_SMPP_LINKS", json.dumps(links))
    monkeypatch.setenv("VNS_SMPP_PARTS_FILE", "parts.sqlite")
    assert {link.parts_file for link in RelaySettings().links()} == {Path("parts.sqlite")}
    assert [(link.name, link.port, link.carrier) for link in RelaySettings().links()] == [
        ("a", 1, Carrier.OTHER),
        ("b", 2, Carrier.KTF),
    ]
    monkeypatch.setenv("VNS_SMPP_LINKS", json.dumps(links[:1] * 2))
    with pytest.raises(ValueError, match="same name"):
        RelaySettings().links()


@pytest.mark.parametrize(
    "url", ["http://a:b@h", "smpp://h:1", "smpp://a:123456789@h", "smpp://0123456789abcdef:b@h", "smpp://a:b@"]
)
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ValidationError):
        SmppLinkConfig(url=url)


def test_the_document_names_every_field_and_its_example_works(monkeypatch: pytest.MonkeyPatch) -> None:
    document = (Path(__file__).parents[2] / "docs" / "smpp-links.md").read_text(encoding="utf-8")
    assert [name for name in SmppLinkConfig.model_fields if f"`{name}`" not in document] == []
    example = re.search(r"VNS_SMPP_LINKS='(.*?)'", document, re.DOTALL)
    assert example is not None
    monkeypatch.setenv("VNS_SMPP_LINKS", example[1])
    assert [(link.name, link.tls) for link in RelaySettings().links()] == [("skt", True), ("kt", False)]


def test_prefixes_ported_numbers_and_error_codes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ported = tmp_path / "ported.csv"
    ported.write_text("01020000001,LGT\n", encoding="utf-8")
    monkeypatch.setenv("VNS_SMPP_PREFIXES", '{"010": "SKT"}')
    monkeypatch.setenv("VNS_SMPP_PORTED_FILE", str(ported))
    monkeypatch.setenv("VNS_SMPP_ERROR_CODES", '{"SKT": {"012": "C"}}')
    settings = RelaySettings()
    directory = settings.directory()
    assert (directory.carrier("01020000001"), directory.carrier("01020000002")) == (Carrier.LGT, Carrier.SKT)
    assert settings.smpp_error_codes == {Carrier.SKT: {"12": ResultCode.POWERED_OFF}}


@pytest.mark.parametrize(
    ("name", "value"), [("VNS_SMPP_PREFIXES", '{"01x": "SKT"}'), ("VNS_SMPP_ERROR_CODES", '{"SKT": {"12": "0"}}')]
)
def test_prefixes_and_error_codes_that_cannot_be(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        RelaySettings()


def test_mm7_links_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert RelaySettings().multimedia() == ()
    monkeypatch.setenv("VNS_MM7_URL", "https://vasp:pw@mmsc.example/mm7")
    monkeypatch.setenv("VNS_MM7_CARRIER", "KTF")
    (link,) = RelaySettings().multimedia()
    assert (link.name, link.user, link.tls, link.carrier) == ("mm7", "vasp", True, Carrier.KTF)
    assert RelaySettings().listen() == ("127.0.0.1", 2780)
    assert "pw@" not in repr(RelaySettings())
    monkeypatch.setenv("VNS_MM7_LINKS", '[{"name": "smpp", "url": "http://a:b@c/"}]')
    with pytest.raises(ValueError, match="same name"):
        RelaySettings().multimedia()
    monkeypatch.setenv("VNS_MM7_LISTEN", "2780")
    with pytest.raises(ValueError, match="an address and a port"):
        RelaySettings()
