"""Spreads the trunk's calls over several endpoints, all of them the one carrier. Pure.

Asterisk lists anew all channels of an endpoint whenever one of them comes or goes, and walks that list for each change
of a channel's state (docs/decisions/0051-calls-are-spread-over-endpoints.md). The shorter the lists, the less a call
costs. Calls that come in are told apart by the last digit of the number dialled, calls that go out by that of the
number to dial: digits that everybody's numbers share evenly.
"""

from typing import Final

DIGITS: Final = "0123456789"

# A virtual number, as carriers write it: 0504…, 504…, +82504…, 82504…. Whatever is none comes to the endpoint that is
# found by the address.
_VIRTUAL: Final = ":[+]?(82)?0?(50|70|1[568])[0-9]*"


def found_in_uri(digit: str) -> str:
    """What is found, as a POSIX expression, in the Request-URI of a call to a virtual number that ends with `digit`."""
    return f"{_VIRTUAL}{digit}@"


def incoming(endpoint: str, *, permitted: str) -> str:
    """The sections of pjsip.conf for calls to virtual numbers: as of `endpoint`, by the last digit.

    They are found by the number dialled, whoever calls, so `permitted` lets in the carrier alone. Without it there are
    none: then every call comes to `endpoint`.
    """
    if not permitted:
        return ""
    return "\n\n".join(
        f"[{endpoint}-{digit}](incoming)\n"
        "context = vns-in\n"
        "trust_id_inbound = yes\n"
        "identify_by = request_uri\n"
        f"deny = 0.0.0.0/0\ndeny = ::/0\n{permitted}\n\n"
        f"[{endpoint}-{digit}]\n"
        "type = identify\n"
        f"endpoint = {endpoint}-{digit}\n"
        f"match_request_uri = /{found_in_uri(digit)}/"
        for digit in DIGITS
    )


def outgoing(endpoint: str) -> str:
    """The sections of pjsip.conf for the legs that go out, by the last digit of the number to dial."""
    return "\n".join(f"[{endpoint}-{digit}](carrier)" for digit in DIGITS)
