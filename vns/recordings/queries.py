"""The SQL of recorded calls."""

# A call is recorded once. Its tenant may be known only later, when the call itself was written down later.
INSERT = """
insert into recordings (id, call_id, tenant_id, path, size, seconds, wrapped_key, key_version, created_at, expires_at)
values ($1, $2, (select tenant_id from calls where id = $2), $3, $4, $5, $6, $7, $8, $9)
on conflict (call_id) do nothing
returning tenant_id
"""
PATH_OF_CALL = "select path from recordings where call_id = $1"

OF_CALL = """
select r.id, r.call_id, r.size, r.seconds, r.created_at, r.expires_at
  from recordings r left join calls c on c.id = r.call_id
 where r.call_id = $1 and coalesce(r.tenant_id, c.tenant_id) = $2 and r.erased_at is null and r.expires_at > $3
"""
SELECT = """
select r.id, r.call_id, coalesce(r.tenant_id, c.tenant_id) as tenant_id, r.path, r.size, r.wrapped_key
  from recordings r left join calls c on c.id = r.call_id
 where r.id = $1 and r.erased_at is null and r.expires_at > $2
"""

# Further ones after the last one seen: what could not be erased is not met again in the same round.
OVER = """
select id, call_id, path, expires_at from recordings
 where erased_at is null and expires_at <= $1 and (expires_at, id) > ($3, $4)
 order by expires_at, id
 limit $2
"""
ERASED = """
update recordings set erased_at = $2, wrapped_key = null where id = any($1::uuid[]) and erased_at is null
returning id, call_id, tenant_id
"""

OLD_KEYS = """
select call_id, wrapped_key from recordings
 where erased_at is null and key_version <> $1 and call_id > $2 order by call_id limit $3
"""
RENEW = """
update recordings r set wrapped_key = t.new, key_version = $4
  from unnest($1::uuid[], $2::bytea[], $3::bytea[]) as t (call_id, old, new)
 where r.call_id = t.call_id and r.wrapped_key = t.old
returning r.call_id
"""
