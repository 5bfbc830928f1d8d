"""The SQL of messages."""

# Arrivals with one fingerprint wait for one another, so that two sessions cannot both record the same text. They are
# given in order, so that two batches never wait for each other.
LOCK_FINGERPRINTS = "select pg_advisory_xact_lock(f) from unnest($1::bigint[]) as f"

KNOWN = """
select id, status, fingerprint from messages where id = any($1::uuid[])
union all
select id, status, fingerprint from messages where fingerprint = any($2::bytea[]) and received_at > $3
"""

# A release that is acknowledged before this one commits wins: the text is then refused.
HOLD_LIVE = """
select id from bindings where id = any($1::uuid[]) and status = 'active' and ends_at > $2 order by id for share
"""

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
                      kind, envelope, fingerprint, session, received_at, finished_at, send_at, held)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bytea[], $6::bytea[], $7::text[], $8::text[],
                     $9::text[], $10::text[], $11::text[], $12::text[], $13::bytea[], $14::bytea[], $15::text[],
                     $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::boolean[])
returning id, npro_id
"""

INSERT_PICTURES = """
insert into message_pictures (message_id, position, content)
select $1, p.position, p.content from unnest($2::bytea[]) with ordinality as p (content, position)
"""
PICTURES = """
select message_id, position, content from message_pictures where message_id = $1 order by position
"""
ERASE_PICTURES = "delete from message_pictures where message_id = any($1::uuid[])"

# Messages whose files are still needed, or have not been kept for long enough since their result.
KEPT_FILES = """
select id from messages where id = any($1::uuid[]) and (finished_at is null or finished_at > $2)
"""

_OPEN = "select id, npro_id, kind, status, envelope, received_at from messages where status in ('queued', 'sent')"

PENDING = _OPEN + " and handed_at is null and not held and npro_id > $1 order by npro_id limit $2"

AWAITED = _OPEN + " and handed_at is not null and npro_id > $1 order by npro_id limit $2"

LAST_NPRO_ID = "select last_value from message_npro_ids"

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
   set status = t.status, code = t.code, reason = coalesce(t.reason, m.reason), envelope = null, held = false,
       finished_at = greatest(t.at, t.sent_at, m.sent_at, m.received_at), handed_at = coalesce(m.handed_at, $6),
       sent_at = coalesce(m.sent_at, t.sent_at + greatest(m.received_at - t.sent_at, interval '0'))
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $7::timestamptz[])
       as t (id, status, code, reason, at, sent_at)
 where m.id = t.id and m.status in ('queued', 'sent')
returning m.id, m.tenant_id, m.binding_id, m.status, m.code, m.reason, m.kind
"""

_SHOWN = """
select id, binding_id, vn, from_masked, to_masked, status, reason, code, kind, received_at, sent_at, finished_at,
       send_at
  from messages
"""

GET = _SHOWN + " where tenant_id = $1 and id = $2"

LIST = (
    _SHOWN
    + """
 where tenant_id = $1
   and ($2::uuid is null or binding_id = $2)
   and ($3::bigint is null or vn = $3)
   and ($4::timestamptz is null or received_at >= $4)
   and ($5::timestamptz is null or received_at < $5)
   and ($6::uuid is null or id < $6)
 order by id desc
 limit $7
"""
)

# Cancelled only while it waits for its time: whoever comes second, this or RELEASE_HELD, finds it done.
CANCEL = """
update messages set status = 'failed', reason = $4, code = $5, envelope = null, held = false, finished_at = $3
 where tenant_id = $1 and id = $2 and held
returning id, binding_id, kind
"""

HELD_DUE = """
select id, npro_id, kind, status, envelope, received_at, tenant_id, binding_id, to_index
  from messages where held and send_at <= $1 order by send_at limit $2 for update skip locked
"""

RELEASE_HELD = "update messages set held = false where id = any($1::uuid[])"

# The pools' virtual numbers, the tenants' relay numbers and what the registry holds for proven now; the rows come in
# the order of the arrays.
PROVEN = """
select exists (select from pools p where p.numbers @> q.sender and p.sms_sender_proof is not null)
       or exists (select from relay_numbers r
                   where r.number = q.sender and r.tenant_id = q.tenant and r.proof_until > $4)
       or exists (select from sender_numbers s
                   where s.tenant_id in (q.tenant, (select a.administrator_id from sending_accounts a
                                                     where a.tenant_id = q.tenant))
                     and s.number_index = q.index and s.status = 'verified' and s.expires_at > $4) as proven
  from unnest($1::uuid[], $2::bigint[], $3::bytea[]) with ordinality as q (tenant, sender, index, place)
 order by q.place
"""

COUNT_TEXTS = """
insert into sender_days (sender, day, texts)
select a.sender, $3, least(a.texts, $4) from unnest($1::bigint[], $2::integer[]) as a (sender, texts)
on conflict (sender, day) do update set texts = least(sender_days.texts + excluded.texts, $4)
returning sender, new.texts - coalesce(old.texts, 0) as granted
"""

# What is needed to send through a binding to one of its sides. A text for a team goes to its first member.
SENDING = """
select q.place, b.id, b.mode, b.status, b.ends_at, b.channels, b.purpose, b.vn, b.peer_vn, q.side,
       case q.side when 'real' then b.real_number else coalesce(b.peer_number, m.number) end as number,
       case q.side when 'real' then b.real_index else coalesce(b.peer_index, m.party) end as party,
       m.party is not null and q.side = 'peer' as of_team,
       exists (select from blocked_parties x
                where x.scope in (b.id, b.pool_id) and x.direction <> 'from'
                  and x.party = case q.side when 'real' then b.real_index
                                            else coalesce(b.peer_index, m.party) end) as blocked,
       exists (select from opt_outs o
                where o.tenant_id = b.tenant_id
                  and o.party = case q.side when 'real' then b.real_index
                                            else coalesce(b.peer_index, m.party) end) as opted_out
  from unnest($2::uuid[], $3::text[]) with ordinality as q (binding_id, side, place)
  join bindings b on b.id = q.binding_id and b.tenant_id = $1
  left join lateral (select m.number, m.party from binding_members m
                      where m.binding_id = b.id and b.mode = 'group' order by m.position limit 1) m on true
"""

# Which of these virtual numbers a tenant has in use.
IN_USE = """
select vn from bindings where tenant_id = $1 and vn = any($2::bigint[]) and status = 'active' and ends_at > $3
union
select peer_vn from bindings where tenant_id = $1 and peer_vn = any($2::bigint[]) and status = 'active' and ends_at > $3
"""

RELAY_NUMBER = "select number from relay_numbers where tenant_id = $1"

# Recorded in this very transaction, and not to be sent after all.
TAKE_BACK = "delete from messages where id = any($1::uuid[]) and envelope is null"

OPTED_OUT = """
select q.place from unnest($1::uuid[], $2::bytea[]) with ordinality as q (tenant_id, party, place)
  join opt_outs o on o.tenant_id = q.tenant_id and o.party = q.party
"""

NOTIFY = "select pg_notify('vns_text', '')"

# Whom to tell of missed calls.
OWNERS = "select id, tenant_id, real_number, real_index, peer_vn from bindings where id = any($1::uuid[])"

RELAY_NUMBERS = "select tenant_id, number from relay_numbers"

LOCK_TAGS = "select pg_advisory_xact_lock($1)"
FORGET_TAGS = "delete from reply_tags where relay = $1 and party = $2 and used_at < $3"

# The tag there is, or the smallest number that is free for this recipient.
PUT_TAG = """
insert into reply_tags (relay, party, tag, vn, binding_id, used_at)
select $1, $2, t.tag, $3, $4, $5
  from (select coalesce((select r.tag from reply_tags r
                          where r.relay = $1 and r.party = $2 and r.vn = $3 and r.binding_id = $4),
                        (select s::smallint from generate_series(1, 9999) s
                          where not exists (select from reply_tags r where r.relay = $1 and r.party = $2 and r.tag = s)
                          limit 1)) as tag) t
 where t.tag is not null
on conflict (relay, party, vn, binding_id) do update set used_at = excluded.used_at
returning tag
"""

TAGS = """
select t.tag, t.vn, t.binding_id, b.status = 'active' and b.ends_at > $4 as live
  from reply_tags t join bindings b on b.id = t.binding_id
 where t.relay = $1 and t.party = $2 and t.used_at >= $3
 order by t.used_at desc, t.tag
"""

OPT_OUT = """
insert into opt_outs (tenant_id, party, binding_id, created_at) values ($1, $2, $3, $4)
on conflict (tenant_id, party) do nothing
"""
OPT_IN = "delete from opt_outs where tenant_id = $1 and party = $2"

PURPOSES = "select id, purpose from bindings where id = any($1::uuid[])"

RULES_OF = """
select b.id, b.rules, p.rules as pool_rules
  from bindings b join pools p on p.id = b.pool_id where b.id = any($1::uuid[])
"""

NOTE_REPLY = """
insert into auto_replies (vn, party, day) values ($1, $2, $3) on conflict do nothing returning day
"""

IS_VIRTUAL = "select exists (select from pools where numbers @> $1::bigint)"

# No row: another tenant has the number.
PUT_RELAY_NUMBER = """
insert into relay_numbers (tenant_id, number, proof, created_at, proof_until)
select $1, $2, $3, $4, $5 where not exists (select from relay_numbers where number = $2 and tenant_id <> $1)
on conflict (tenant_id) do update
    set number = excluded.number, proof = excluded.proof, created_at = excluded.created_at,
        proof_until = excluded.proof_until
returning number
"""
# Proofs in force that end before $2 and were not told of; a new end is told of again.
REMIND_RELAY_NUMBERS = """
update relay_numbers set reminded_of = proof_until
 where proof_until > $1 and proof_until <= $2 and reminded_of is distinct from proof_until
returning tenant_id, number, proof, proof_until
"""
DELETE_RELAY_NUMBER = "delete from relay_numbers where tenant_id = $1 returning number"

# The ids sort by time: the index of the tenant's rows is read from the first id on. Not in order: PostgreSQL would sort
# each row of a day on disk, in half as much time again as it takes to count them.
BY_HOUR = """
select date_bin('1 hour', received_at, '2000-01-01 00:00+00') as hour, status as outcome, count(*) as count
  from messages
 where tenant_id = $1 and id >= $2 and received_at >= $3 and received_at < $4
 group by 1, 2
"""
