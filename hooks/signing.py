"""The signature on what a hook is sent. Pure; docs/intercept-hook.md tells receivers how to check it."""

import hmac
from typing import Final

HEADER: Final = "VNS-Signature"


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The header's value: HMAC-SHA256 over timestamp, a dot and the body. `timestamp`: seconds since 1970."""
    signed = hmac.digest(secret.encode(), str(timestamp).encode() + b"." + body, "sha256")
    return f"t={timestamp},v1={signed.hex()}"
