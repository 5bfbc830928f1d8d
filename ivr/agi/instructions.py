"""What Asterisk is to do, as channel variables. Pure: every value is digits, a word of this module, or a file's name.

A plain call gets BRIDGE, ACT, NUM and CID, and no more. Of the others the dialplan (extensions.conf) makes this:

    ACT        connect, connect_once: dial NUM. dial: the same under limits, for a team, or after digits.
               collect: ask for digits. wrong: they were; ask again. turn_away: refuse for REASON, without a
               word. over: all of a team have been rung; announce how that went. Else the reason of a refusal,
               which is announced.
    NUM, CID   digits to dial, digits to show; no CID with an act that dials: show none
    ALL        dial: whom to ring together with NUM, joined by "-"
    CALLER     dial: who calls, where others of a team may be rung after NUM. If NUM is not reached the dialplan
               asks again, whatever has changed meanwhile, and hands over CALLER, as CID has taken its place, and
               whom it has rung (TRIED, joined by "-")
    ONCE       dial: 1 where one answered call ends the binding
    RING       dial: seconds; MAX: `L`'s value, milliseconds from the answer and before the end to warn
    RINGBACK   dial: tone to play while it rings (ivr.prompts.tones); RECORD: 1 to record
    ASK        collect: file that asks for the digits
    LAST       collect, wrong: reason after the last wrong try
    PROMPT_x   file that replaces the announcement of reason x
"""

import re
from collections.abc import Iterable, Mapping
from uuid import UUID

from vns.bindings.rules import Ring
from vns.errors import NumberNotMappable
from vns.numbering.rules import PhoneNumber, mappable
from vns.routing.rules import CallLimits, Collect, Connect, Presented, Question, Reason, Refuse
from vns.routing.service import Routed

LAST_MINUTE = 60  # seconds before the end of a limited call at which both are told, or at half-time of a shorter one
NOT_REACHED = (Reason.BUSY, Reason.NO_ANSWER, Reason.UNREACHABLE)  # what may follow a Connect
LAST_REASON = {"extension": Reason.NOT_A_PARTY, "number": Reason.NOT_ALLOWED}
_FILE = re.compile(r"custom/[0-9a-f]{64}")

Variables = dict[str, str]
Files = Mapping[UUID, str]
"""The prompts of rules that can be played now, by name."""


def prompts_of(routed: Routed, question: Question) -> set[UUID]:
    """What would have to be playable."""
    decision = routed.decision
    if isinstance(decision, Refuse):
        return {decision.prompt} if decision.prompt is not None and not _asks_again(decision, question) else set()
    if routed.nobody_left:
        return set()
    wanted = {decision.limits.prompts[reason] for reason in _may_follow(decision) if reason in decision.limits.prompts}
    if isinstance(decision, Connect) and decision.limits.ringback is not None:
        wanted.add(decision.limits.ringback)
    return wanted


def instructions(routed: Routed, files: Files, question: Question) -> Variables:
    decision = routed.decision
    if isinstance(decision, Collect):
        return {
            **_act("collect"),
            "ASK": f"ask_{decision.what}",
            "LAST": LAST_REASON[decision.what].value,
            **_announcements(decision.limits, (LAST_REASON[decision.what],), files),
        }
    if isinstance(decision, Refuse):
        if _asks_again(decision, question):
            return {**_act("wrong"), "LAST": decision.reason.value}
        return refusal(decision.reason, files.get(decision.prompt) if decision.prompt else None)
    callees = [number.digits for number in routed.targets if may_be_dialled(number)]
    cid = "" if decision.present is Presented.WITHHELD else routed.presented
    if not callees or cid is None:
        return _act("over") if question.tried else refusal(Reason.UNREACHABLE)
    if _is_plain(decision, callees) and question.digits is None and not question.tried:
        act = "connect_once" if routed.expire_after_call else "connect"
        return {"ACT": act, "NUM": callees[0], "CID": cid}
    limited = _limited(routed, decision, callees[1:], files, question.caller)
    return {"ACT": "dial", "NUM": callees[0], "CID": cid, **limited}


def refusal(reason: Reason, file: str | None = None) -> Variables:
    """`file`: instead of the platform's announcement."""
    return {**_act(reason.value), **({f"PROMPT_{reason}": file} if _is_file(file) and file else {})}


def turned_away() -> Variables:
    """The refusal of what is too much."""
    return {**_act("turn_away"), "REASON": Reason.OVERLOAD.value}


def may_be_dialled(number: PhoneNumber) -> bool:
    """The last look before the carrier gets it, whatever is stored: never an emergency, premium or foreign number."""
    try:
        mappable(number)
    except NumberNotMappable:
        return False
    return number.digits.isascii() and number.digits.isdigit()


def _act(act: str) -> Variables:
    return {"ACT": act, "NUM": "", "CID": ""}


def _asks_again(refuse: Refuse, question: Question) -> bool:
    return refuse.again and question.digits is not None


def _may_follow(decision: Connect | Collect) -> Iterable[Reason]:
    return NOT_REACHED if isinstance(decision, Connect) else (LAST_REASON[decision.what],)


def _is_plain(decision: Connect, callees: list[str]) -> bool:
    limits = decision.limits
    return len(callees) == 1 and not (
        limits.ring_seconds or limits.max_seconds or limits.ringback or limits.prompts or limits.record
    )


def _limited(
    routed: Routed, decision: Connect, others: list[str], files: Files, caller: PhoneNumber | None
) -> Variables:
    """`others`: of a team, without the one to be rung now."""
    limits = decision.limits
    ringback = files.get(limits.ringback) if limits.ringback else None
    one_by_one = bool(others) and decision.ring is Ring.ORDER
    return {
        "ALL": "-".join(others) if decision.ring is Ring.ALL else "",
        "CALLER": caller.digits if one_by_one and caller is not None else "",
        "ONCE": "1" if routed.expire_after_call else "",
        "RING": str(limits.ring_seconds or ""),
        "MAX": _longest(limits.max_seconds) if limits.max_seconds else "",
        "RINGBACK": ringback.rpartition("/")[2] if ringback and _is_file(ringback) else "",
        "RECORD": "1" if limits.record else "",
        **_announcements(limits, NOT_REACHED, files),
    }


def _longest(seconds: int) -> str:
    return f"{seconds * 1000}:{min(LAST_MINUTE * 1000, seconds * 500)}"


def _announcements(limits: CallLimits, reasons: Iterable[Reason], files: Files) -> Variables:
    return {
        f"PROMPT_{reason}": file
        for reason in reasons
        if reason in limits.prompts and _is_file(file := files.get(limits.prompts[reason])) and file
    }


def _is_file(name: str | None) -> bool:
    return name is not None and _FILE.fullmatch(name) is not None
