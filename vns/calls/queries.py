"""The SQL of calls."""

# Begins of calls: connected, refused, or asked for digits (`in_progress` until then). The same attempt may be asked
# about twice (the first bridge answered too late, or there were digits to collect): the last answer holds, also where
# an earlier one comes to be written later. A call that has ended meanwhile keeps its end, and what was answered after
# that (by a bridge that had hung) was heard by nobody.
# Whoever released the binding in between could not see the call, and may have wanted it cut: that is left on the
# binding. No lock is waited for: one that somebody holds for long would hold up the records of all calls. Of a release
# that commits in the same moment TO_TERMINATE knows.
WRITE_BEGINS = """
with told as (
    select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::bytea[], $7::text[],
                         $8::bytea[], $9::text[], $10::timestamptz[], $11::text[], $12::text[], $13::text[],
                         $14::smallint[], $15::boolean[], $16::bytea[], $17::boolean[])
        as t (id, tenant_id, binding_id, vn, direction, from_index, from_masked, to_index, to_masked, arrived_at,
              bridge, channel, result, cause, missed_call_text, caller, from_copy)
), written as (
    insert into calls (id, tenant_id, binding_id, vn, direction, from_index, from_masked, to_index, to_masked,
                       arrived_at, bridge, channel, result, cause, missed_call_text, caller, from_copy,
                       terminate_requested_at)
    select t.*, b.cut_calls_at
      from told t left join bindings b on b.id = t.binding_id and t.direction in ('to_real', 'to_peer')
     order by t.id
    on conflict (id) do update
       set tenant_id = excluded.tenant_id, binding_id = excluded.binding_id, direction = excluded.direction,
           from_index = excluded.from_index, from_masked = excluded.from_masked, to_index = excluded.to_index,
           to_masked = excluded.to_masked, bridge = excluded.bridge, from_copy = excluded.from_copy,
           missed_call_text = excluded.missed_call_text,
           arrived_at = case when calls.ended_at is null then calls.arrived_at
                             else least(excluded.arrived_at, calls.ringing_at, calls.ended_at) end,
           result = case when calls.ended_at is null then excluded.result else calls.result end,
           cause = case when calls.ended_at is null then excluded.cause else calls.cause end,
           caller = case when calls.ended_at is null then excluded.caller end,
           terminate_requested_at = coalesce(calls.terminate_requested_at, excluded.terminate_requested_at)
     where (calls.ended_at is null or excluded.arrived_at <= calls.ended_at)
       and (calls.bridge = excluded.bridge or calls.arrived_at < excluded.arrived_at)
    returning binding_id, terminate_requested_at is not null and ended_at is null as cut
)
select distinct binding_id from written where cut
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

# A connected call that changes or counts more than its record: only while its binding is still live, and before anybody
# rings.
INSERT_CONNECTED = _CONNECTED.format(
    live="bindings b where b.id = $2 and b.status = 'active' and b.ends_at > $9 for share of b"
)

# The same on a number with extensions: the caller becomes whom the owner reaches by calling back.
INSERT_CONNECTED_STRANGER = """
with b as (
    update bindings set last_caller = $14, last_caller_index = $5, last_caller_at = $9
     where id = $2 and status = 'active' and ends_at > $9
    returning id, tenant_id
)""" + _CONNECTED.format(live="b")

# Whoever counts the calls on a number with a limit and adds one does so alone.
LOCK_NUMBER = "select pg_advisory_xact_lock(22094, hashint8($1::bigint))"  # "VN"
COUNT_OPEN = "select count(*) from calls where vn = $1 and ended_at is null and direction <> 'none' and id <> $2"

# That a call `c`, looked for by its id, has no end. In plain words PostgreSQL would go through the index of all open
# calls instead, and through what vacuum has not yet taken out of it: every call since. `is true` does the same for the
# live ones among bindings.
_IS_OPEN = "coalesce(c.ended_at, 'infinity') = 'infinity'"

# The bindings that finishing these calls may consume.
LOCK_CONSUMABLE = f"""
select b.id from bindings b
 where b.id = any (array(select c.binding_id from calls c where c.id = any($1::uuid[]) and {_IS_OPEN}))
   and (b.expire_after_call and b.status = 'active') is true
 order by b.id
   for update of b
"""

# The records of ended calls, each written once: who comes later finds ended_at set and changes nothing. `arrived_at` is
# the decision's time: one of a bridge that had hung may be later than the end.
FINISH = f"""
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
 where c.id = t.id and {_IS_OPEN}
returning c.id, c.tenant_id, c.binding_id, c.vn, c.result, c.answered_at, c.ended_at, c.billed_seconds,
          coalesce(t.expire_after_call, false) as expire_after_call, c.missed_call_text, c.ringing_at, old.caller
"""

# Calls of bindings that one answered call ends: known before the end, which may never be told.
NOTE_ANSWERS = f"""
update calls c set answered_at = t.at
  from unnest($1::uuid[], $2::timestamptz[]) as t (id, at)
 where c.id = t.id and {_IS_OPEN} and c.answered_at is null
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

# Which of these calls still wait for their end, or are not known at all.
UNFINISHED = """
select t.id, c.id is not null as known
  from unnest($1::uuid[]) as t (id) left join calls c on c.id = t.id
 where c.id is null or c.ended_at is null
"""

OPEN_SINCE = "select id, channel, arrived_at from calls where ended_at is null and arrived_at < $1 order by arrived_at"

# Calls to cut. Those of bindings that were released since $1 with that wish are looked for, too: when their begin was
# written, the release may have been under way.
TO_TERMINATE = f"""
select id, channel from calls where ended_at is null and terminate_requested_at is not null
union
select o.id, o.channel
  from bindings b
 cross join lateral (select c.id, c.channel from calls c
                      where c.binding_id = b.id and {_IS_OPEN} and c.direction in ('to_real', 'to_peer')
                     offset 0) as o
 where b.cut_calls_at > $1
"""

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
