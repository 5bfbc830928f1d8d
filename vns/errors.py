"""One tree of errors; each class carries the stable code that a client may rely on.

VnsError
├── InvalidRequest           invalid_request        the shape is wrong
│   ├── InvalidNumber        invalid_number         does not parse, or is foreign
│   ├── NumberNotMappable    number_not_mappable    parses, but must never be a party
│   ├── SameParty            same_party             both parties of a pair are the same number
│   ├── ModeNotSupported     mode_not_supported     the pool or the platform does not offer the mode
│   ├── InvalidRules         invalid_rules          a rules document is not as documented
│   ├── WrongCode            wrong_code             a code that was not the one sent
│   ├── CodeOver             code_over              a code that is too old, used, or was tried too often
│   ├── InvalidDocument      invalid_document       no certificate that somebody can read
│   ├── InvalidApplication   invalid_application    an application for an exemption says something that cannot be
│   ├── InvalidAudio         invalid_audio          no recording that can be played on the telephone
│   ├── AdvertisingNotAllowed  advertising_not_allowed  an advertising text that the law or the binding forbids
│   ├── ExpiresTooSoon       expires_too_soon       less than 60 s ahead
│   └── IdempotencyMismatch  idempotency_mismatch   the key was used for another request
├── Conflict
│   ├── PoolOverlap          pool_overlap           a range meets another pool's
│   ├── PoolExhausted        pool_exhausted         no free number left
│   ├── PairInUse            pair_in_use            a party already has a pair on the named number
│   ├── VirtualNumberInUse   virtual_number_in_use  the named number is live or quarantined
│   ├── BindingEnded         binding_ended          a text is to go through a binding that has ended
│   ├── SenderNotRegistered  sender_not_registered  a text would show a number that is no proven sender of the tenant's
│   ├── RecipientRefuses     recipient_refuses      the recipient takes no texts: channel, block or opt-out
│   ├── DailyLimitReached    daily_limit_reached    the line has sent its texts of the day
│   ├── NotScheduled         not_scheduled          only a text that waits for its time can be cancelled
│   ├── ManagerNeeded        manager_needed         only tenants with an approved manager may do this
│   ├── CallUnderWay         call_under_way         the number is being called for verification already
│   ├── CallerIdNotProven    caller_id_not_proven   no number with a proof to present on the platform's own calls
│   └── AmbiguousReference   ambiguous_reference    several malls know this waybill
├── NotFound                 not_found              unknown, or another tenant's
├── Unauthorized             unauthorized           no key, or not a valid one
│   └── WrongCredentials     wrong_credentials      no such login, or another password
├── Forbidden                forbidden              the key or tenant may not do this
│   ├── AccountLocked        account_locked         too many wrong passwords or codes; until a moment
│   └── InvalidLink          invalid_link           a signed link that is wrong or over
├── QuotaExceeded            quota_exceeded         a limit of the tenant is reached
├── RateLimited              rate_limited           too many requests; retry_after in seconds
└── Unavailable              unavailable            a part that is needed does not answer
    └── SpeechUnavailable    speech_unavailable     texts cannot be spoken here

The HTTP status of each is chosen in one place, api/problems.py.
"""


class VnsError(Exception):
    """Any error that has a stable code. `detail` is for people and holds no real number."""

    code = "internal_error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRequest(VnsError):
    code = "invalid_request"


class InvalidNumber(InvalidRequest):
    code = "invalid_number"


class NumberNotMappable(InvalidRequest):
    code = "number_not_mappable"


class SameParty(InvalidRequest):
    code = "same_party"


class ModeNotSupported(InvalidRequest):
    code = "mode_not_supported"


class InvalidRules(InvalidRequest):
    code = "invalid_rules"


class WrongCode(InvalidRequest):
    code = "wrong_code"


class CodeOver(InvalidRequest):
    code = "code_over"


class InvalidDocument(InvalidRequest):
    code = "invalid_document"


class InvalidApplication(InvalidRequest):
    """`field`: which one; `rows`: the places, from 1, of its numbers that are wrong."""

    code = "invalid_application"

    def __init__(self, detail: str, *, field: str, rows: tuple[int, ...] = ()) -> None:
        super().__init__(detail)
        self.field = field
        self.rows = rows


class InvalidAudio(InvalidRequest):
    code = "invalid_audio"


class AdvertisingNotAllowed(InvalidRequest):
    code = "advertising_not_allowed"


class ExpiresTooSoon(InvalidRequest):
    code = "expires_too_soon"


class IdempotencyMismatch(InvalidRequest):
    code = "idempotency_mismatch"


class Conflict(VnsError):
    code = "conflict"


class PoolOverlap(Conflict):
    code = "pool_overlap"


class PoolExhausted(Conflict):
    code = "pool_exhausted"


class PairInUse(Conflict):
    code = "pair_in_use"


class VirtualNumberInUse(Conflict):
    code = "virtual_number_in_use"


class BindingEnded(Conflict):
    code = "binding_ended"


class SenderNotRegistered(Conflict):
    code = "sender_not_registered"


class RecipientRefuses(Conflict):
    code = "recipient_refuses"


class DailyLimitReached(Conflict):
    code = "daily_limit_reached"


class NotScheduled(Conflict):
    code = "not_scheduled"


class ManagerNeeded(Conflict):
    code = "manager_needed"


class CallUnderWay(Conflict):
    code = "call_under_way"


class CallerIdNotProven(Conflict):
    code = "caller_id_not_proven"


class AmbiguousReference(Conflict):
    code = "ambiguous_reference"


class NotFound(VnsError):
    code = "not_found"


class Unauthorized(VnsError):
    code = "unauthorized"


class Forbidden(VnsError):
    code = "forbidden"


class WrongCredentials(Unauthorized):
    code = "wrong_credentials"


class AccountLocked(Forbidden):
    code = "account_locked"


class InvalidLink(Forbidden):
    code = "invalid_link"


class QuotaExceeded(VnsError):
    code = "quota_exceeded"


class RateLimited(VnsError):
    """`retry_after`: seconds until another request has a chance."""

    code = "rate_limited"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(VnsError):
    code = "unavailable"


class SpeechUnavailable(Unavailable):
    code = "speech_unavailable"
