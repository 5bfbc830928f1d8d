"""The SQL of bindings. `$n::…[]` arrays carry a whole batch; row k of each array belongs to item k."""

COLUMNS = """id, tenant_id, pool_id, vn, mode, status, real_number, real_index, peer_number, peer_index, reference,
    purpose, channels, caller_id, expires_at, ttl_seconds, expire_after_call, ends_at, created_at, ended_at"""

# What is read of a binding: also what only some have. Members in ring order.
_READ = f"""{COLUMNS}, rules, peer_vn, extension, ring,
    case mode when 'group'
        then array(select m.number from binding_members m where m.binding_id = id order by m.position) end as members,
    case mode when 'group'
        then array(select m.party from binding_members m where m.binding_id = id order by m.position) end
        as member_indexes"""

# Locks are taken in one order by everybody, so that batches that share parties wait in line and never in a ring.
LOCK_IN_ORDER = """
select pg_advisory_xact_lock(key)
from (select distinct key from unnest($1::bigint[]) as k (key) order by key) as ordered
"""

SELECT_STORED_ANSWERS = """
select k.tenant_id, k.key, k.request_hash, k.status, k.body
from unnest($1::uuid[], $2::text[]) as wanted (tenant_id, key)
join idempotency_keys k using (tenant_id, key)
where k.created_at > $3
"""

# A key older than the window may be used anew. No row returned: another request has just used the key.
STORE_ANSWERS = """
insert into idempotency_keys (tenant_id, key, request_hash, status, body, created_at)
select tenant_id, key, request_hash, status, body, $6
from unnest($1::uuid[], $2::text[], $3::bytea[], $4::smallint[], $5::text[])
     as a (tenant_id, key, request_hash, status, body)
order by tenant_id, key
on conflict (tenant_id, key) do update
    set request_hash = excluded.request_hash, status = excluded.status, body = excluded.body,
        created_at = excluded.created_at
    where idempotency_keys.created_at <= $7
returning tenant_id
"""

# Two statements, for two indexes: by reference, and by a party where there is none.
_SAME_LIVE = f"""
select {_READ} from bindings
where {{reference}} and tenant_id = $1 and mode = $3 and status = 'active' and ends_at > $6
  and real_index in ($4, $5)
  and ((real_index = $4 and peer_index is not distinct from $5)
       or (mode = 'bidirectional' and real_index = $5 and peer_index = $4))
order by id limit 1
"""
SELECT_SAME_LIVE = _SAME_LIVE.format(reference="reference = $2")
SELECT_SAME_LIVE_WITHOUT_REFERENCE = _SAME_LIVE.format(reference="reference is null and $2::text is null")

# A group is the same only with the same team, in whatever order.
_SAME_LIVE_GROUP = f"""
select {_READ} from bindings
where {{reference}} and tenant_id = $1 and mode = 'group' and status = 'active' and ends_at > $5
  and real_index = $3
  and array(select m.party from binding_members m where m.binding_id = id order by m.party) = $4::bytea[]
order by id limit 1
"""
SELECT_SAME_LIVE_GROUP = _SAME_LIVE_GROUP.format(reference="reference = $2")
SELECT_SAME_LIVE_GROUP_WITHOUT_REFERENCE = _SAME_LIVE_GROUP.format(reference="reference is null and $2::text is null")

COUNT_LIVE = "select count(*) from bindings where tenant_id = $1 and status = 'active' and ends_at > $2"

# The stripe to take never-used numbers from: one that nobody is taking from right now, else the fullest is waited for.
_FREE_STRIPE = "limit 1 for update skip locked"
_NEXT_STRIPE = "order by last_key - next_key desc limit 1 for update"
_MOVED_STRIPE = """
with stripe as (
    select pool_id, stripe from pool_stripes where pool_id = $1 and next_key <= last_key {choice}
), moved as (
    update pool_stripes s set next_key = least(s.next_key + $2::integer, s.last_key + 1)
    from stripe where s.pool_id = stripe.pool_id and s.stripe = stripe.stripe
    returning old.next_key as first, new.next_key - 1 as last
)"""
HAS_FRESH = "select exists (select from pool_stripes where pool_id = $1 and next_key <= last_key)"

# A scalar subquery, not `not exists`: the planner would join with all of `numbers`, row locks held meanwhile.
_TAKE_FRESH = """
select n as vn from moved, generate_series(first, last) as n
where (select numbers.vn from numbers where numbers.vn = n) is null
"""
TAKE_FRESH = _MOVED_STRIPE.format(choice=_FREE_STRIPE) + _TAKE_FRESH
TAKE_FRESH_WAITING = _MOVED_STRIPE.format(choice=_NEXT_STRIPE) + _TAKE_FRESH

TAKE_RESTED = """
select vn, binding_id from numbers
where pool_id = $1 and kind = 'exclusive' and hold is null and free_at <= $3 and vn <> all($4::bigint[])
order by free_at limit $2 for update skip locked
"""

# Shared numbers on which nothing is live or quarantined any more may serve exclusively again. A seat that a pair is
# taking over at this moment stays where it is, and with it the number shared: the key of `seats` refuses the rest.
TAKE_EMPTY_SHARED = """
with empty as (
    select n.vn from numbers n
    where n.pool_id = $1 and n.kind = 'shared' and n.hold is null and n.vn <> all($4::bigint[])
      and not exists (select from seats s where s.vn = n.vn and s.free_at > $3)
    order by n.vn limit $2 for update skip locked
), cleared as (
    delete from seats using empty where seats.vn = empty.vn and seats.free_at <= $3
)
select vn from empty
"""

# The lowest shared number on which neither party has a live or quarantined pair: few numbers serve many pairs.
FIND_SHARED = """
select n.vn from numbers n
where n.pool_id = $1 and n.kind = 'shared' and n.hold is null and n.vn <> all($5::bigint[])
  and not exists (select from seats s where s.vn = n.vn and s.party in ($2, $3) and s.free_at > $4)
order by n.vn limit 1
"""

# The same for any number of parties, and but for a number of the same binding.
FIND_SHARED_FOR = """
select n.vn from numbers n
where n.pool_id = $1 and n.kind = 'shared' and n.hold is null and n.vn <> all($4::bigint[])
  and not exists (select from seats s where s.vn = n.vn and s.party = any($2::bytea[]) and s.free_at > $3)
order by n.vn limit 1
"""

# Numbers told apart by extension on which an owner has no seat: the newest, which is the emptiest, and some others that
# may have been left since. The extension is tried on each in turn.
FIND_EXTENSION_NUMBERS = """
(select n.vn from numbers n
  where n.pool_id = $1 and n.kind = 'extension' and n.hold is null and n.vn <> all($4::bigint[])
    and not exists (select from seats s where s.vn = n.vn and s.party = $2 and s.free_at > $3)
  order by n.vn desc limit 1)
union
(select n.vn from numbers n
  where n.pool_id = $1 and n.kind = 'extension' and n.hold is null and n.vn <> all($4::bigint[])
    and not exists (select from seats s where s.vn = n.vn and s.party = $2 and s.free_at > $3)
  order by n.vn limit 3)
order by vn desc
"""

# Takes the first of the extensions $2 that is neither live nor resting; `$6` true: one that rests may be taken over (a
# revival, checked before). No row: none of them is free.
TAKE_EXTENSION = """
insert into extensions (vn, extension, binding_id, free_at)
select $1, w.extension, $3, $4
  from unnest($2::text[]) with ordinality as w (extension, place)
 where $6 or not exists (select from extensions x where x.vn = $1 and x.extension = w.extension and x.free_at > $5)
 order by w.place limit 1
on conflict (vn, extension) do update set binding_id = excluded.binding_id, free_at = excluded.free_at
    where extensions.free_at <= $5 or $6
returning new.extension as extension, old.binding_id as previous
"""
SELECT_EXTENSION = "select binding_id, free_at from extensions where vn = $1 and extension = $2"

# Whom a subscriber's outgoing calls belong to now: one row at most, which may be over and not yet written off.
LIVE_OF_SUBSCRIBER = """
select id, ends_at from bindings where real_index = $1 and mode = 'outbound' and status = 'active'
"""

# A named number gets its row if it never had one; the row is locked either way.
ENSURE_NUMBER = """
insert into numbers (vn, pool_id, kind, free_at) values ($1, $2, 'exclusive', '1970-01-01 00:00+00')
on conflict do nothing
"""
LOCK_NUMBER = "select vn, pool_id, kind, binding_id, free_at, hold from numbers where vn = $1 for update"
ANY_SEAT_TAKEN = "select exists (select from seats where vn = $1 and free_at > $2)"
SELECT_SEATS = "select party, binding_id, free_at from seats where vn = $1 and party = any($2::bytea[])"
CLEAR_SEATS = "delete from seats where vn = $1 and free_at <= $2"

# No row returned: somebody has just named the number, which had no row until then, and it is theirs.
_MAKE = """
insert into numbers (vn, pool_id, kind, free_at) values ($1, $2, '{kind}', '9999-01-01 00:00+00')
on conflict (vn) do update set kind = '{kind}', binding_id = null, free_at = '9999-01-01 00:00+00'
    where numbers.kind in ({before}) or (numbers.kind = 'exclusive' and numbers.free_at <= $3)
returning vn
"""
MAKE_SHARED = _MAKE.format(kind="shared", before="'shared'")
# A shared number whose seats have all been cleared may become one with extensions; any seat left, and its key refuses.
MAKE_EXTENSION = _MAKE.format(kind="extension", before="'shared', 'extension'")

# Takes the seats of the parties, or fewer rows come back because one of them already has a seat here.
# `$5` true: seats in quarantine may be taken over (a revival, checked before).
_TAKE_SEATS = """
insert into seats (vn, party, kind, binding_id, free_at)
select $1, party, '{kind}', $3, $4 from unnest($2::bytea[]) as p (party) order by party
on conflict (vn, party) do update set binding_id = excluded.binding_id, free_at = excluded.free_at
    where seats.free_at <= $6 or $5
returning old.binding_id as previous
"""
TAKE_SEATS = _TAKE_SEATS.format(kind="shared")
TAKE_OWNERS_SEAT = _TAKE_SEATS.format(kind="extension")

# Every row that the allocations of a batch need, in one statement: bindings, occupied numbers, journal. In two
# wordings: most batches hold nothing but one-way numbers and pairs, and pay for nothing else.
_WRITE_ALLOCATIONS = f"""
with item as (
    select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::bytea[], $7::bytea[],
        $8::bytea[], $9::bytea[], $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[],
        $15::integer[], $16::boolean[], $17::timestamptz[], $18::timestamptz[], $19::text[], $20::text[]{{more_arrays}})
    as i (id, tenant_id, pool_id, vn, mode, real_number, real_index, peer_number, peer_index, reference,
          purpose, channels, caller_id, expires_at, ttl_seconds, expire_after_call, ends_at, free_at, actor,
          vn_digits{{more}})
), bound as (
    insert into bindings ({COLUMNS}{{more}})
    select id, tenant_id, pool_id, vn, mode, 'active', real_number, real_index, peer_number, peer_index, reference,
           purpose, string_to_array(channels, ','), caller_id, expires_at, ttl_seconds, expire_after_call, ends_at,
           ${{now}}, null{{more}}
    from item
), occupied as (
    insert into numbers (vn, pool_id, kind, binding_id, free_at)
    select vn, pool_id, 'exclusive', id, free_at from item where mode in ('one_way', 'outbound')
    on conflict (vn) do update set kind = 'exclusive', binding_id = excluded.binding_id, free_at = excluded.free_at
)
insert into journal (at, tenant_id, actor, event, subject, data)
select ${{now}}, tenant_id, actor, 'binding.created', id,
       jsonb_build_object('virtual_number', vn_digits, 'mode', mode, 'reference', reference)
from item
"""
WRITE_ALLOCATIONS = _WRITE_ALLOCATIONS.format(more_arrays="", more="", now=21)
WRITE_MODES = _WRITE_ALLOCATIONS.format(
    more_arrays=", $21::bigint[], $22::text[], $23::text[]", more=", peer_vn, extension, ring", now=24
)
INSERT_MEMBERS = """
insert into binding_members (binding_id, position, number, party)
select * from unnest($1::uuid[], $2::smallint[], $3::bytea[], $4::bytea[])
"""
DELETE_MEMBERS = "delete from binding_members where binding_id = $1"

# Ends what nobody has written down as ended yet, as of its own end: a number is about to be given to somebody else.
CLOSE_OVERDUE = """
with overdue as (
    select id from bindings where id = any($1::uuid[]) and status = 'active' and ends_at <= $2 order by id for update
)
update bindings b set status = 'expired', ended_at = b.ends_at from overdue where b.id = overdue.id
returning b.id, b.tenant_id, b.vn, b.ends_at
"""

FIND_OVERDUE = """
select id from bindings where status = 'active' and ends_at <= $1 and ends_at < '9999-01-01 00:00+00'
order by ends_at limit $2 for update skip locked
"""

# Ends live bindings and starts the quarantine of their numbers or seats, all at one time. The seats of parties that
# were replaced rest on: their quarantine began earlier.
END_LIVE = f"""
with ending as (
    select id from bindings
    where id = any($1::uuid[]) and status = 'active' and ends_at > $3
    order by id for update
), ended as (
    update bindings b set status = $2, ends_at = $3, ended_at = $3
    from ending where b.id = ending.id
    returning b.*
), rested as (
    update numbers n set free_at = $3 + make_interval(secs => p.quarantine_seconds)
    from ended e join pools p on p.id = e.pool_id
    where n.vn = e.vn and n.binding_id = e.id
), vacated as (
    update seats s set free_at = $3 + make_interval(secs => p.quarantine_seconds)
    from ended e join pools p on p.id = e.pool_id
    where s.vn in (e.vn, e.peer_vn) and s.binding_id = e.id and s.free_at > $3
      and (s.party in (e.real_index, e.peer_index)
           or s.party in (select m.party from binding_members m where m.binding_id = e.id))
), laid_off as (
    update extensions x set free_at = $3 + make_interval(secs => p.quarantine_seconds)
    from ended e join pools p on p.id = e.pool_id
    where x.vn = e.vn and x.extension = e.extension and x.binding_id = e.id and x.free_at > $3
)
select {_READ} from ended
"""

SELECT_PAGE = f"select {_READ} from bindings where "

# For calls that have begun and have no record yet. Bindings before calls, as whoever ends a call locks them.
MARK_BINDINGS_TO_CUT = """
update bindings b set cut_calls_at = $2
  from (select id from bindings where id = any($1::uuid[]) and cut_calls_at is null order by id for update) as m
 where b.id = m.id
"""
# In the order of their ids, as begins of calls are written.
MARK_CALLS_TO_CUT = """
update calls set terminate_requested_at = $2
 where id = any (array(select id from calls
                        where binding_id = any($1::uuid[]) and ended_at is null and terminate_requested_at is null
                        order by id for no key update))
returning binding_id
"""
NOTIFY_CUT = "select pg_notify('vns_terminate', $1)"

SELECT_ONE = f"select {_READ} from bindings where id = $1 and tenant_id = $2"
LOCK_ONE = SELECT_ONE + " for update"

# Who called the former owner of an extension is not for the next one to call back.
UPDATE_BINDING = """
update bindings set real_number = $2, real_index = $3, peer_number = $4, peer_index = $5, reference = $6,
       channels = $7, caller_id = $8, expires_at = $9, ttl_seconds = $10, expire_after_call = $11, ends_at = $12,
       last_caller = case when real_index = $3 then last_caller end,
       last_caller_index = case when real_index = $3 then last_caller_index end,
       last_caller_at = case when real_index = $3 then last_caller_at end
where id = $1
"""
# For the few that have any: the statement that writes all allocations stays as short as it is.
SET_RULES = """
update bindings b set rules = r.rules from unnest($1::uuid[], $2::jsonb[]) as r (id, rules) where b.id = r.id
"""
MOVE_END_OF_NUMBER = "update numbers set free_at = $3 where vn = $1 and binding_id = $2"
MOVE_END_OF_SEATS = "update seats set free_at = $3 where vn = $1 and binding_id = $2 and party = any($4::bytea[])"
MOVE_END_OF_EXTENSION = "update extensions set free_at = $3 where vn = $1 and extension = $4 and binding_id = $2"
VACATE_SEAT = "update seats set free_at = $4 where vn = $1 and binding_id = $2 and party = $3"
SET_RING = "update bindings set ring = $2 where id = $1"

# A connected decision moves a sliding end, and the quarantine behind it, in one statement. The seats of parties that
# were replaced rest on.
SLIDE = """
with slid as (
    update bindings b
    set ends_at = least(coalesce(b.expires_at, '9999-01-01 00:00+00'), $2 + make_interval(secs => b.ttl_seconds))
    where b.id = $1 and b.status = 'active' and b.ends_at > $2 and b.ttl_seconds is not null
    returning b.id, b.vn, b.peer_vn, b.extension, b.pool_id, b.ends_at, b.real_index, b.peer_index
), rested as (
    update numbers n set free_at = s.ends_at + make_interval(secs => p.quarantine_seconds)
    from slid s join pools p on p.id = s.pool_id
    where n.vn = s.vn and n.binding_id = s.id
), extended as (
    update extensions x set free_at = s.ends_at + make_interval(secs => p.quarantine_seconds)
    from slid s join pools p on p.id = s.pool_id
    where x.vn = s.vn and x.extension = s.extension and x.binding_id = s.id
)
update seats t set free_at = s.ends_at + make_interval(secs => p.quarantine_seconds)
from slid s join pools p on p.id = s.pool_id
where t.vn in (s.vn, s.peer_vn) and t.binding_id = s.id
  and (t.party in (s.real_index, s.peer_index)
       or t.party in (select m.party from binding_members m where m.binding_id = s.id))
"""

LIVE_BY_REFERENCES = """
select id, reference as given from bindings
where tenant_id = $1 and reference = any($2::text[]) and status = 'active' and ends_at > $3
"""
LIVE_BY_VNS = """
select id, vn as given from bindings
where tenant_id = $1 and vn = any($2::bigint[]) and status = 'active' and ends_at > $3
union all
select id, peer_vn as given from bindings
where tenant_id = $1 and peer_vn = any($2::bigint[]) and status = 'active' and ends_at > $3
"""
EXISTING_IDS = f"select {_READ} from bindings where tenant_id = $1 and id = any($2::uuid[])"
KNOWN_REFERENCES = "select distinct reference from bindings where tenant_id = $1 and reference = any($2::text[])"
KNOWN_VNS = """
select vn from bindings where tenant_id = $1 and vn = any($2::bigint[])
union
select peer_vn from bindings where tenant_id = $1 and peer_vn = any($2::bigint[])
"""

# Of each mall's bindings with the waybill the live one, else the last.
DELIVERIES = """
select distinct on (b.reference, b.tenant_id) b.reference, b.tenant_id, b.vn, b.extension, b.status, b.ends_at,
       b.expires_at
from bindings b
where b.reference = any($1::text[]) and b.tenant_id = any($2::uuid[])
order by b.reference, b.tenant_id, (b.status = 'active' and b.ends_at > $3) desc, b.id desc
"""
MALL_BY_CODE = "select id from tenants where code = $1"

# $1 tenant, $2 ids, $3 references, $4 virtual numbers, $5 since when.
ENDED_SINCE = """
select vn, peer_vn from bindings
 where tenant_id = $1 and ended_at >= $5
   and (id = any($2::uuid[]) or reference = any($3::text[]) or vn = any($4::bigint[]) or peer_vn = any($4::bigint[]))
"""
