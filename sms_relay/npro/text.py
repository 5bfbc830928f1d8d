"""How long a text is for the tables: bytes of EUC-KR as Korean networks mean it, that is MS949 (cp949)."""

SMS_BYTES = 90
BODY_BYTES = 2000
UCS2_SMS_BYTES = 140  # one SMPP short message


def korean_bytes(text: str) -> int | None:
    """Length in cp949 bytes; None where the text cannot be written in it (emoji, other scripts).

    Python's `euc_kr` would turn 똠 into eight bytes instead of failing; cp949 has it in two.
    """
    try:
        return len(text.encode("cp949"))
    except UnicodeEncodeError:
        return None


def fits_sms(text: str) -> bool:
    """Whether one SMS holds it: 90 bytes of MS949, or 70 UCS-2 units where MS949 cannot write it."""
    length = korean_bytes(text)
    return length <= SMS_BYTES if length is not None else len(text.encode("utf-16-be")) <= UCS2_SMS_BYTES


def fits_body(text: str) -> bool:
    """Whether an MMS_BODY of 2,000 bytes holds it."""
    length = korean_bytes(text)
    return (len(text.encode("utf-16-be")) if length is None else length) <= BODY_BYTES
