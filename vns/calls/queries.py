"""The SQL of calls."""

# A refused call. The same attempt may be asked twice (the first bridge answered too late): the second answer holds.
INSERT_REFUSED = """
insert into calls (id, tenant_id, binding_id, vn, direction, from_index, from_masked, result, cause,
                   arrived_at, bridge, channel)
values ($1, $2, $3, $4, 'none', $5, $6, $7, $8, $9, $10, $11)
on conflict (id) do update
   set result = excluded.result, cause = excluded.cause, bridge = excluded.bridge, direction = 'none', to_index = null,
       to_masked = null
 where calls.ended_at is null
"""

# A connected call: only while its binding is still live. The shared lock orders it against a release: either the
# release sees this call and can cut it, or this statement sees the release and writes nothing.
INSERT_CONNECTED = """
insert into calls (id, tenant_id, binding_id, vn, direction, from_index, from_masked, to_index, to_masked,
                   arrived_at, bridge, channel)
select $1, b.tenant_id, b.id, $3, $4, $5, $6, $7, $8, $9, $10, $11
  from bindings b
 where b.id = $2 and b.status = 'active' and b.ends_at > $9
   for share of b
on conflict (id) do update
   set result = 'in_progress', cause = null, bridge = excluded.bridge, direction = excluded.direction,
       to_index = excluded.to_index, to_masked = excluded.to_masked
 where calls.ended_at is null
returning id
"""

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
                         $7::timestamptz[], $8::integer[])
        as t (id, result, cause, hangup_by, ringing_at, answered_at, ended_at, billed)
)
update calls c
   set result = t.result, cause = t.cause, hangup_by = t.hangup_by, ringing_at = t.ringing_at,
       answered_at = case when t.result = 'unknown' then c.answered_at else t.answered_at end,
       ended_at = t.ended_at, billed_seconds = t.billed,
       arrived_at = least(c.arrived_at, t.ringing_at, t.ended_at)
  from (select told.*, b.expire_after_call
          from told join calls k on k.id = told.id left join bindings b on b.id = k.binding_id) t
 where c.id = t.id and c.ended_at is null
returning c.id, c.tenant_id, c.binding_id, c.vn, c.result, c.answered_at, c.ended_at, c.billed_seconds,
          coalesce(t.expire_after_call, false) as expire_after_call
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
                   channel)
select t.id, b.tenant_id, b.id, t.vn, 'none', t.result, t.cause, t.hangup_by, t.arrived_at, t.ended_at, t.bridge,
       t.channel
  from unnest($1::uuid[], $2::bigint[], $3::text[], $4::smallint[], $5::text[], $6::timestamptz[], $7::timestamptz[],
              $8::text[], $9::text[]) as t (id, vn, result, cause, hangup_by, arrived_at, ended_at, bridge, channel)
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

TO_TERMINATE = "select id, channel from calls where ended_at is null and terminate_requested_at is not null"

LIST = """
select id, binding_id, vn, from_masked, to_masked, result, cause, hangup_by, arrived_at, ringing_at, answered_at,
       ended_at, billed_seconds
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
