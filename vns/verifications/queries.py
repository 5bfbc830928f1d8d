"""The SQL of verification calls."""

_FIELDS = """id, tenant_id, number_masked, caller_id, status, reason, spoken, attempts, requested_at, answered_at,
       ended_at"""

# Requests about one number queue up here, so that the limit counts each of them.
LOCK_NUMBER = "select pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 1448302422))"

ASKED_SINCE = "select requested_at from verification_calls where number_index = $1 and requested_at > $2"

INSERT = f"""
insert into verification_calls (id, tenant_id, number, number_index, number_masked, code, caller_id, requested_at,
                                expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
returning {_FIELDS}
"""

NOTIFY = "select pg_notify($1, '')"

SELECT = f"select {_FIELDS} from verification_calls where id = $1"

LAST = f"""
select {_FIELDS} from verification_calls
 where tenant_id = $1 and number_index = $2 and requested_at >= $3 order by requested_at desc limit 1
"""

# One call for one bridge: others skip it, unless its claim has run out with nobody telling how it went. Those that are
# queued or calling have no end, as all others do; saying so leads to the index of the few that are open.
CLAIM = """
update verification_calls
   set status = 'calling', attempts = attempts + 1, claimed_by = $1, claim_until = $3
 where id = (select id
               from verification_calls
              where ended_at is null and (status = 'queued' or (status = 'calling' and claim_until <= $2))
                and attempts < $4 and expires_at > $2
                and exists (select from pools p where p.numbers @> caller_id and p.voice_proof_until > $2)
              order by requested_at
              limit 1
                for update skip locked)
returning id, attempts, number, code, caller_id
"""

_OVER = "number = null, code = null, claim_until = null"

EXPIRE = f"""
update verification_calls
   set status = 'failed', reason = 'expired', ended_at = $1, {_OVER}
 where ended_at is null
   and ((status = 'queued' and expires_at <= $1)
        or (status = 'calling' and claim_until <= $1 and (attempts >= $2 or expires_at <= $1)))
returning {_FIELDS}
"""

# Written once. A code that was heard counts whichever attempt it was; another end counts for the attempt under way.
FINISH = f"""
update verification_calls
   set status = case when $3::text is null then 'completed' else 'failed' end, reason = $3, spoken = $4,
       answered_at = $5, ended_at = $6, {_OVER}
 where id = $1 and status in ('queued', 'calling') and ($3::text is null or attempts = $2)
returning {_FIELDS}
"""
