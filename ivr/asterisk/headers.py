"""Which calls have headers that the question is to read. Pure.

Asterisk tells who calls without being asked, from P-Asserted-Identity, else From. It reads more loosely than
ivr.agi.identity: it looks past an asserted identity that it cannot read, believes Remote-Party-ID, takes of several
identities the first, and only `id` for a wish for privacy. Reading a header by a step of the dialplan costs each call
a hand-over between threads. So the calls of which both make the same take Asterisk's word, and of the others the
question reads the headers. The expressions are POSIX, as Asterisk searches by them, and mean the same to `re`.

Asterisk keeps the user part of From as it was meant, line ends included, and prints it so for whoever lists its
channels. A call with such a From is among the others too: its user part is tidied before anything else happens.
"""

from typing import Final

# What is not `<sip:` or `<sip:+`, digits, `@`, a plain host, perhaps parameters, and `>`.
_NO_PLAIN_NUMBER: Final = "|".join(
    (
        "^[^<]",
        "^<[^s]",
        "^<s[^i]",
        "^<si[^p]",
        "^<sip[^:]",
        "^<sip:[^+0-9]",
        "^<sip:[+][^0-9]",
        "^<sip:[+]?[0-9]+[^0-9@]",
        "@>",
        "@[^>]*[^>A-Za-z0-9.:;=_-]",
        ">.",
        "^[^>]*$",
    )
)

# A character that is not printed, as Asterisk writes the header out to search it.
_LINE_ENDS_AND_THE_LIKE: Final = "%[01][0-9A-Fa-f]|%7[Ff]"

READ: Final = {
    "Privacy": ".",
    "Remote-Party-ID": ".",
    "P-Asserted-Identity": _NO_PLAIN_NUMBER,
    "From": _LINE_ENDS_AND_THE_LIKE,
}
"""Name of a header → what is found in one of a call of which the question has to read the headers."""


def identifications(endpoint: str) -> str:
    """The sections of pjsip.conf that lead calls with such a header to `endpoint`, whoever sends them."""
    return "\n\n".join(
        f"[{endpoint}-{place}]\ntype = identify\nendpoint = {endpoint}\nmatch_header = {header}: /{_in_file(found)}/"
        for place, (header, found) in enumerate(READ.items(), start=1)
    )


def _in_file(expression: str) -> str:
    """A bare semicolon begins a comment."""
    return expression.replace(";", "\\;")
