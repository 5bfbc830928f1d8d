"""The trunk's transport: how signalling and media travel between Asterisk and the carrier, and with which keys."""

import shutil
import socket
from pathlib import Path

from ivr.asterisk.instance import Instance
from ivr.settings import IvrSettings

# no name of these ends as those do that res_crypto reads: .key and .pub
_CERTIFICATE, _KEY, _CA = "lib/keys/trunk.pem", "lib/keys/trunk-key.pem", "lib/keys/carrier-ca.pem"
PRIVATE_FILES = (_KEY,)


def transport(target: Instance, settings: IvrSettings) -> str:
    """The lines of the transport's section, after its type."""
    lines = [
        f"protocol = {settings.sip_transport}",
        f"bind = {settings.sip_address}:{settings.sip_port}",
    ]
    if settings.sip_transport == "tls":
        checked = "yes" if settings.sip_tls_ca is not None else "no"
        mutual = "yes" if settings.sip_tls_mutual else "no"
        lines += [
            "method = tlsv1_2",
            f"cert_file = {target.inside}/{_CERTIFICATE}",
            f"priv_key_file = {target.inside}/{_KEY}",
            *([f"ca_list_file = {target.inside}/{_CA}"] if settings.sip_tls_ca is not None else []),
            f"verify_server = {checked}",
            f"verify_client = {mutual}",
            f"require_client_cert = {mutual}",
        ]
    return "\n".join(lines)


def permitted(address: str) -> str:
    """The lines of an endpoint that let in whoever calls from `address`, or from where that name leads now.

    No line for a name that leads nowhere: Asterisk says so of the trunk itself, when it loads the configuration.
    """
    try:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_DGRAM)
    except socket.gaierror:
        return ""
    return "\n".join(f"permit = {one}" for one in sorted({str(info[4][0]) for info in found}))


def contact_parameters(settings: IvrSettings) -> str:
    """What the carrier's address says of the transport; a bare semicolon would begin a comment."""
    return "" if settings.sip_transport == "udp" else f"\\;transport={settings.sip_transport}"


def copy_keys(target: Instance, settings: IvrSettings) -> None:
    """Into Asterisk's own folder, where its user may read them. Raises OSError."""
    wanted: dict[str, Path | None] = {
        _CERTIFICATE: settings.sip_tls_certificate,
        _KEY: settings.sip_tls_key,
        _CA: settings.sip_tls_ca,
    }
    for name, source in wanted.items():
        place = target.folder / name
        if settings.sip_transport != "tls" or source is None:
            place.unlink(missing_ok=True)
            continue
        place.touch(mode=0o600)
        shutil.copyfile(source, place)
