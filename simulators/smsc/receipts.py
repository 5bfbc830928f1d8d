"""Receipts as an SMSC writes them: text of SMPP 3.4 appendix B, and parameters."""

from datetime import datetime, timedelta, timezone

from simulators.smsc.settings import ReceiptForm, Rule
from sms_relay.links.smpp.pdu import Command, Message, Tag

KOREA = timezone(timedelta(hours=9))
STATES = ("ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD")
RECEIPT = 0x04


def receipt_for(
    submitted: Message, rule: Rule, response_id: str, receipt_id: str, sent_at: datetime, done_at: datetime
) -> Message:
    """The deliver_sm that reports `submitted`. The TLV repeats the id of the response, the text may differ."""
    text = b""
    tlvs: dict[int, bytes] = {}
    if rule.receipt_form is not ReceiptForm.TLV:
        done = rule.stat == "DELIVRD"
        text = (
            f"id:{receipt_id} sub:001 dlvrd:{'001' if done else '000'} "
            f"submit date:{sent_at.astimezone(KOREA):%y%m%d%H%M} "
            f"done date:{done_at.astimezone(KOREA):%y%m%d%H%M} stat:{rule.stat} err:{rule.err} text:"
        ).encode("latin-1")
    if rule.receipt_form is not ReceiptForm.TEXT:
        tlvs[Tag.RECEIPTED_MESSAGE_ID] = response_id.encode("latin-1") + b"\0"
        if rule.stat in STATES:
            tlvs[Tag.MESSAGE_STATE] = bytes((STATES.index(rule.stat) + 1,))
        if rule.receipt_form is ReceiptForm.TLV and rule.err.isdigit() and int(rule.err):
            tlvs[Tag.NETWORK_ERROR_CODE] = b"\x03" + int(rule.err).to_bytes(2, "big")
    return Message(
        Command.DELIVER_SM,
        0,
        submitted.destination,
        submitted.source,
        text,
        esm_class=RECEIPT,
        source_ton=submitted.dest_ton,
        source_npi=submitted.dest_npi,
        dest_ton=submitted.source_ton,
        dest_npi=submitted.source_npi,
        tlvs=tlvs,
    )
