"""The SQL of messages."""

# Arrivals with one fingerprint wait for one another, so that two sessions cannot both record the same text.
LOCK_FINGERPRINT = "select pg_advisory_xact_lock($1)"

BY_ID = "select id, status from messages where id = $1"

# A release that is acknowledged before this one commits wins: the text is then refused.
HOLD_LIVE = "select id from bindings where id = $1 and status = 'active' and ends_at > $2 for share"

# The same text came through another session a short while ago: that record answers for it. It takes over the new
# session's name, so that each record answers for one resend and no more.
CLAIM_DUPLICATE = """
update messages set session = $3
 where id = (select id from messages
              where fingerprint = $1 and received_at > $2 and session <> $3
              order by received_at limit 1)
returning id, status
"""

INSERT = """
insert into messages (id, tenant_id, binding_id, vn, from_index, to_index, from_masked, to_masked, status, reason, code,
                      kind, envelope, fingerprint, session, received_at, finished_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
returning npro_id
"""

_OPEN = "select id, npro_id, kind, status, envelope, received_at from messages where status in ('queued', 'sent')"

PENDING = _OPEN + " and handed_at is null and npro_id > $1 order by npro_id limit $2"

AWAITED = _OPEN + " and handed_at is not null and npro_id > $1 order by npro_id limit $2"

MARK_HANDED = "update messages set handed_at = $2 where id = any($1::uuid[]) and handed_at is null"

# The tables tell seconds and a receipt minutes: nothing is sent before it came, nor over before it was sent.
MARK_SENT = """
update messages m set status = 'sent', sent_at = greatest(t.at, m.received_at)
  from unnest($1::uuid[], $2::timestamptz[]) as t (id, at)
 where m.id = t.id and m.status = 'queued'
"""

# Each written once: who comes later finds the message final and changes nothing.
FINISH = """
update messages m
   set status = t.status, code = t.code, reason = coalesce(t.reason, m.reason), envelope = null,
       finished_at = greatest(t.at, t.sent_at, m.sent_at, m.received_at), handed_at = coalesce(m.handed_at, $6),
       sent_at = coalesce(m.sent_at, t.sent_at + greatest(m.received_at - t.sent_at, interval '0'))
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $7::timestamptz[])
       as t (id, status, code, reason, at, sent_at)
 where m.id = t.id and m.status in ('queued', 'sent')
returning m.id, m.tenant_id, m.binding_id, m.status, m.code, m.reason, m.kind
"""

LIST = """
select id, binding_id, vn, from_masked, to_masked, status, reason, code, kind, received_at, sent_at, finished_at
  from messages
 where tenant_id = $1
   and ($2::uuid is null or binding_id = $2)
   and ($3::bigint is null or vn = $3)
   and ($4::timestamptz is null or received_at >= $4)
   and ($5::timestamptz is null or received_at < $5)
   and ($6::uuid is null or id < $6)
 order by id desc
 limit $7
"""
