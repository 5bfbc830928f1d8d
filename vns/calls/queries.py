"""The SQL of calls."""

from vns.routing.queries import FACTS_TO_RECORD

# In a statement of its own, the commit does not wait for the disk: see vns.calls.unflushed.
_UNFLUSHED = "set_config('synchronous_commit', 'off', true) = 'off'"

# A call that is refused, or asked for digits (`in_progress` until then). The same attempt may be asked about twice (the
# first bridge answered too late, or there were digits to collect): the last answer holds.
INSERT_REFUSED = f"""
insert into calls (id, tenant_id, binding_id, vn, direction, from_index, from_masked, result, cause,
                   arrived_at, bridge, channel)
select $1, $2, $3, $4, 'none', $5, $6, $7, $8, $9, $10, $11 where {_UNFLUSHED}
on conflict (id) do update
   set tenant_id = excluded.tenant_id, binding_id = excluded.binding_id, result = excluded.result,
       cause = excluded.cause, bridge = excluded.bridge, direction = 'none', to_index = null, to_masked = null,
       caller = null, missed_call_text = false
 where calls.ended_at is null
"""

_CONNECTED = """
insert into calls (id, tenant_id, binding_id, vn, direction, from_index, from_masked, to_index, to_masked,
                   arrived_at, bridge, channel, missed_call_text, caller)
select $1, b.tenant_id, b.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
  from {live}
on conflict (id) do update
   set tenant_id = excluded.tenant_id, binding_id = excluded.binding_id, result = 'in_progress', cause = null,
       bridge = excluded.bridge, direction = excluded.direction, to_index = excluded.to_index,
       to_masked = excluded.to_masked, missed_call_text = excluded.missed_call_text, caller = excluded.caller
 where calls.ended_at is null
returning id
"""

# A connected call: only while its binding is still live. The shared lock orders it against a release: either the
# release sees this call and can cut it, or this statement sees the release and writes nothing.
INSERT_CONNECTED = _CONNECTED.format(
    live="bindings b where b.id = $2 and b.status = 'active' and b.ends_at > $9 for share of b"
)
BEGIN_CONNECTED = _CONNECTED.format(
    live=f"bindings b where b.id = $2 and b.status = 'active' and b.ends_at > $9 and {_UNFLUSHED} for share of b"
)

# The facts of a question ($1 number, $2 caller, $3 now) together with the begin of its call ($4 id, $5 masked caller,
# $6 bridge, $7 channel), as BEGIN_CONNECTED would write it, where nothing but these facts decides: `begun` is the
# direction in which it stands in the records. What is written here foretells the decision and does not take it: see
# Calls._record for what becomes of one that turns out otherwise. `is true` keeps PostgreSQL from looking for the one
# binding among all live ones, as it does where it has no statistics yet.
BEGIN_AT_ONCE = f"""
with f as materialized ({FACTS_TO_RECORD}),
way as (
    select f.id, f.real_index, f.peer_index,
           case when f.mode = 'one_way' and f.real_index <> $2 then 'to_real'
                when f.mode = 'bidirectional' and f.peer_index = $2 then 'to_real'
                when f.mode = 'bidirectional' and f.real_index = $2 then 'to_peer' end as direction
      from f
     where not f.more and not f.caller_stopped and not f.expire_after_call and 'voice' = any (f.channels)
),
live as (
    select b.id, b.tenant_id, way.direction,
           case way.direction when 'to_real' then b.real_index else b.peer_index end as to_index,
           case way.direction when 'to_real' then b.real_masked else b.peer_masked end as to_masked
      from way join bindings b on b.id = way.id
     where way.direction is not null and (b.status = 'active' and b.ends_at > $3) is true
       and b.real_index = way.real_index and b.peer_index is not distinct from way.peer_index and {_UNFLUSHED}
       for share of b
),
begun as (
    insert into calls (id, tenant_id, binding_id, vn, direction, from_index, from_masked, to_index, to_masked,
                       arrived_at, bridge, channel, missed_call_text)
    select $4, tenant_id, id, $1, direction, $2, $5, to_index, to_masked, $3, $6, $7, false
      from live where to_masked is not null
    on conflict (id) do nothing
    returning direction
)
select f.*, (select direction from begun) as begun from f
"""

# A connected call whose begin PostgreSQL has lost. Whoever released the binding meanwhile could not see the call, and
# may have wanted it cut.
BEGIN_AGAIN = """
insert into calls (id, tenant_id, binding_id, vn, direction, from_index, from_masked, to_index, to_masked,
                   arrived_at, bridge, channel, missed_call_text, caller, terminate_requested_at)
select $1, b.tenant_id, b.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
       case when b.status = 'released' then b.ended_at end
  from bindings b where b.id = $2
on conflict (id) do nothing
"""

MISSING = """
select t.id from unnest($1::uuid[]) as t (id) where not exists (select from calls c where c.id = t.id)
"""

# The same on a number with extensions: the caller becomes whom the owner reaches by calling back.
INSERT_CONNECTED_STRANGER = """
with b as (
    update bindings set last_caller = $14, last_caller_index = $5, last_caller_at = $9
     where id = $2 and status = 'active' and ends_at > $9
    returning id, tenant_id
)""" + _CONNECTED.format(live="b")

# A call to whom answers for a binding that has ended: there is nothing left that could end.
INSERT_FALLBACK = _CONNECTED.format(live="bindings b where b.id = $2")

# Whoever counts the calls on a number with a limit and adds one does so alone.
LOCK_NUMBER = "select pg_advisory_xact_lock(22094, hashint8($1::bigint))"  # "VN"
COUNT_OPEN = "select count(*) from calls where vn = $1 and ended_at is null and direction <> 'none' and id <> $2"

# The bindings that finishing these calls may consume.
LOCK_CONSUMABLE = """
select b.id
  from calls c join bindings b on b.id = c.binding_id
 where c.id = any($1::uuid[]) and c.ended_at is null and b.expire_after_call and b.status = 'active'
 order by b.id
   for update of b
"""

# The records of ended calls, each written once: who comes later finds ended_at set and changes nothing. `arrived_at` is
# the decision's time: one of a bridge that had hung may be later than the end.
FINISH = """
with told as (
    select * from unnest($1::uuid[], $2::text[], $3::smallint[], $4::text[], $5::timestamptz[], $6::timestamptz[],
                         $7::timestamptz[], $8::integer[], $9::boolean[])
        as t (id, result, cause, hangup_by, ringing_at, answered_at, ended_at, billed, reconciled)
)
update calls c
   set result = t.result, cause = t.cause, hangup_by = t.hangup_by, ringing_at = t.ringing_at,
       answered_at = case when t.result = 'unknown' then c.answered_at else t.answered_at end,
       ended_at = t.ended_at, billed_seconds = t.billed, reconciled = t.reconciled, caller = null,
       arrived_at = least(c.arrived_at, t.ringing_at, t.ended_at)
  from (select told.*, b.expire_after_call
          from told join calls k on k.id = told.id left join bindings b on b.id = k.binding_id) t
 where c.id = t.id and c.ended_at is null
returning c.id, c.tenant_id, c.binding_id, c.vn, c.result, c.answered_at, c.ended_at, c.billed_seconds,
          coalesce(t.expire_after_call, false) as expire_after_call, c.missed_call_text, c.ringing_at, old.caller
"""

# Calls of bindings that one answered call ends: known before the end, which may never be told.
NOTE_ANSWERS = """
update calls c set answered_at = t.at
  from unnest($1::uuid[], $2::timestamptz[]) as t (id, at)
 where c.id = t.id and c.ended_at is null and c.answered_at is null
"""

# Attempts that nobody could be asked about: no bridge or no database was there. They are known from Asterisk alone.
# An exclusive number tells whose they were (its live or last binding, as in a refusal); a shared one does not.
INSERT_UNASKED = """
insert into calls (id, tenant_id, binding_id, vn, direction, result, cause, hangup_by, arrived_at, ended_at, bridge,
                   channel, reconciled, ringing_at, answered_at, billed_seconds)
select t.id, b.tenant_id, b.id, t.vn, 'none', t.result, t.cause, t.hangup_by, t.arrived_at, t.ended_at, t.bridge,
       t.channel, t.reconciled, t.ringing_at, t.answered_at, t.billed
  from unnest($1::uuid[], $2::bigint[], $3::text[], $4::smallint[], $5::text[], $6::timestamptz[], $7::timestamptz[],
              $8::text[], $9::text[], $10::boolean[], $11::timestamptz[], $12::timestamptz[], $13::integer[])
       as t (id, vn, result, cause, hangup_by, arrived_at, ended_at, bridge, channel, reconciled, ringing_at,
             answered_at, billed)
  left join lateral (select id, tenant_id from bindings
                      where vn = t.vn and mode = 'one_way' and created_at <= t.ended_at
                      order by id desc limit 1) b on true
on conflict (id) do nothing
returning id, tenant_id, binding_id, vn, result, ended_at
"""

# Calls that a bridge connected by a copy while PostgreSQL was away. Their ends may have been written first (then as of
# an attempt that nobody was asked about), or a late answer of PostgreSQL that nobody waited for any more.
INSERT_COPIED = """
insert into calls (id, tenant_id, binding_id, vn, direction, from_index, from_masked, to_index, to_masked, arrived_at,
                   bridge, channel, from_copy)
select t.*, true
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::bytea[], $7::text[], $8::bytea[],
              $9::text[], $10::timestamptz[], $11::text[], $12::text[]) as t
on conflict (id) do update
   set tenant_id = excluded.tenant_id, binding_id = excluded.binding_id, direction = excluded.direction,
       from_index = excluded.from_index, from_masked = excluded.from_masked, to_index = excluded.to_index,
       to_masked = excluded.to_masked, from_copy = true,
       result = case when calls.ended_at is null then 'in_progress' else calls.result end,
       cause = case when calls.ended_at is null then null else calls.cause end
 where not calls.from_copy
"""

# Which of these calls still wait for their end, or are not known at all.
UNFINISHED = """
select t.id, c.id is not null as known
  from unnest($1::uuid[]) as t (id) left join calls c on c.id = t.id
 where c.id is null or c.ended_at is null
"""

OPEN_SINCE = "select id, channel, arrived_at from calls where ended_at is null and arrived_at < $1 order by arrived_at"

TO_TERMINATE = "select id, channel from calls where ended_at is null and terminate_requested_at is not null"

LIST = """
select id, binding_id, vn, direction, from_masked, to_masked, result, cause, hangup_by, arrived_at, ringing_at,
       answered_at, ended_at, billed_seconds, reconciled
  from calls
 where tenant_id = $1
   and ($2::uuid is null or binding_id = $2)
   and ($3::bigint is null or vn = $3)
   and ($4::timestamptz is null or arrived_at >= $4)
   and ($5::timestamptz is null or arrived_at < $5)
   and ($6::uuid is null or id < $6)
 order by id desc
 limit $7
"""

# The ids sort by time: the index of the tenant's rows is read from the first id on. Not in order: PostgreSQL would sort
# each row of a day on disk, in half as much time again as it takes to count them.
BY_HOUR = """
select date_bin('1 hour', arrived_at, '2000-01-01 00:00+00') as hour, result as outcome, count(*) as count
  from calls
 where tenant_id = $1 and id >= $2 and arrived_at >= $3 and arrived_at < $4
 group by 1, 2
"""
