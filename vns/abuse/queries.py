"""The SQL of callers who are watched."""

# What people decided (trusted, or stopped by the operator) stays while it lasts; a rule only adds to it. A flag that is
# still running is written anew only to stop whom it had merely flagged.
FLAG = """
insert into caller_flags (party, masked, reason, status, counted, flagged_at, until)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (party) do update
   set masked = excluded.masked, reason = excluded.reason, status = excluded.status, counted = excluded.counted,
       flagged_at = excluded.flagged_at, until = excluded.until
 where caller_flags.until <= excluded.flagged_at
    or (caller_flags.status = 'flagged' and excluded.status = 'stopped')
returning party
"""

# The operator's word holds over whatever stood there.
DECIDE = """
insert into caller_flags (party, masked, reason, status, counted, flagged_at, until)
values ($1, $2, 'operator', $3, 0, $4, $5)
on conflict (party) do update
   set masked = excluded.masked, reason = 'operator', status = excluded.status, counted = 0,
       flagged_at = excluded.flagged_at, until = excluded.until
"""

CLEAR = "delete from caller_flags where party = $1 returning masked"
LIST = """
select masked, reason, status, counted, flagged_at, until from caller_flags where until > $1
order by flagged_at desc, party limit $2
"""
TRUSTED = "select party from caller_flags where status = 'trusted' and until > $1"
CLEAR_OVER = "delete from caller_flags where until <= $1"

# Who was connected to very many bindings. A call's id begins with its time, so the primary key bounds the search.
REACHED_MANY = """
select from_index as party, max(from_masked) as masked, count(distinct binding_id) as reached
  from calls
 where id >= $1 and arrived_at >= $2 and from_index is not null and binding_id is not null and direction <> 'none'
 group by from_index
having count(distinct binding_id) >= $3
"""
