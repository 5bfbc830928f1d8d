"""One tree of errors; each class carries the stable code that a client may rely on.

VnsError
├── InvalidRequest           invalid_request        the shape is wrong
│   ├── InvalidNumber        invalid_number         does not parse, or is foreign
│   ├── NumberNotMappable    number_not_mappable    parses, but must never be a party
│   ├── SameParty            same_party             both parties of a pair are the same number
│   ├── ModeNotSupported     mode_not_supported     the pool or the platform does not offer the mode
│   ├── ExpiresTooSoon       expires_too_soon       less than 60 s ahead
│   └── IdempotencyMismatch  idempotency_mismatch   the key was used for another request
├── Conflict
│   ├── PoolOverlap          pool_overlap           a range meets another pool's
│   ├── PoolExhausted        pool_exhausted         no free number left
│   ├── PairInUse            pair_in_use            a party already has a pair on the named number
│   ├── VirtualNumberInUse   virtual_number_in_use  the named number is live or quarantined
│   └── AmbiguousReference   ambiguous_reference    several malls know this waybill
├── NotFound                 not_found              unknown, or another tenant's
├── Unauthorized             unauthorized           no key, or not a valid one
├── Forbidden                forbidden              the key or tenant may not do this
├── QuotaExceeded            quota_exceeded         the tenant's limit of live bindings is reached
├── RateLimited              rate_limited           too many requests; retry_after in seconds
└── Unavailable              unavailable            a part that is needed does not answer

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


class AmbiguousReference(Conflict):
    code = "ambiguous_reference"


class NotFound(VnsError):
    code = "not_found"


class Unauthorized(VnsError):
    code = "unauthorized"


class Forbidden(VnsError):
    code = "forbidden"


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
