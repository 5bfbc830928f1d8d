"""What the law asks of advertising texts. Pure.

They begin with (광고), end with a free 080 number for refusing them, and leave between 08:00 and 21:00 Korean time
unless the recipient agreed to the night separately. Through a binding made for a delivery none is sent at all.
"""

import re
from datetime import datetime, time

from vns.rulebook.opening import KOREA

MARK = "(광고)"
DELIVERY = "delivery"  # the purpose of a binding that its customer gave the number for
DAY_BEGINS, DAY_ENDS = time(8), time(21)

_MARKED = re.compile(r"\s*[(\[<【（［]\s*광\s*고\s*[)\]>】）］]")  # as senders write it to be told from no filter
_REFUSAL = re.compile(r"080[-. ]?\d{3,4}[-. ]?\d{4}\W*$")

OPT_OUT_WORDS = frozenset({"수신거부", "무료수신거부", "광고거부", "수신거절", "stop", "unsubscribe"})
OPT_IN_WORDS = frozenset({"수신동의", "수신거부해제"})


def is_marked(text: str) -> bool:
    """Whether a text says of itself that it is advertising."""
    return _MARKED.match(text) is not None


def objection(text: str, *, purpose: str, leaves_at: datetime, night_consent: bool) -> str | None:
    """Why this advertising text is not sent; None: it may be. For people, in English."""
    if purpose == DELIVERY:
        return "no advertising goes through a binding made for a delivery"
    if not text.startswith(MARK):
        return f"an advertising text begins with {MARK}"
    if not _REFUSAL.search(text):
        return "an advertising text ends with a free 080 number for refusing it"
    local = leaves_at.astimezone(KOREA).time()
    if not night_consent and not DAY_BEGINS <= local < DAY_ENDS:
        return "between 21:00 and 08:00 advertising needs the recipient's separate consent"
    return None


def wish(text: str | None) -> bool | None:
    """What a text as a whole says of getting texts: False to stop them, True to have them again, None nothing."""
    word = re.sub(r"[\s.!~]+", "", text or "").lower()
    if word in OPT_OUT_WORDS:
        return False
    return True if word in OPT_IN_WORDS else None
