"""The link over TLS: it talks only to an SMSC whose certificate it can check."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.links.smpp_inbox import PATIENCE


def certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smsc")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "smsc.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
async def tls(smsc: Any, tmp_path: Path) -> AsyncIterator[tuple[int, Path]]:
    """Port and certificate of a scripted SMSC that speaks TLS."""
    file = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = await asyncio.start_server(smsc.take, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1], file
    smsc.close()
    server.close()


async def test_an_smsc_with_a_known_certificate(make_link: Any, smsc: Any, tls: tuple[int, Path]) -> None:
    port, file = tls
    link = await make_link(url=f"smpps://vns:secret@127.0.0.1:{port}", tls_ca=file)
    wire = await smsc.connection()
    assert (await wire.bind()).system_id == "vns"
    async with asyncio.timeout(PATIENCE):
        await link.wait_connected()


class Heard(logging.Handler):
    """Notes the first line about a link that is down."""

    def __init__(self) -> None:
        super().__init__()
        self.line: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def emit(self, record: logging.LogRecord) -> None:
        if "link down" in record.getMessage() and not self.line.done():
            self.line.set_result(record.getMessage())


async def test_an_unknown_certificate_gets_no_password(make_link: Any, tls: tuple[int, Path]) -> None:
    heard = Heard()
    logger = logging.getLogger("sms_relay.links.smpp.link")
    logger.addHandler(heard)
    try:
        stranger = await make_link(url=f"smpps://vns:secret@127.0.0.1:{tls[0]}")
        async with asyncio.timeout(PATIENCE):
            line = await heard.line
    finally:
        logger.removeHandler(heard)
    assert "CERTIFICATE_VERIFY_FAILED" in line
    assert not stranger.connected
