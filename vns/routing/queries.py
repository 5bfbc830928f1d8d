"""The SQL of the decision."""

# What most calls need: a one-way number or a pair without rules. `more` says that there is more to know: then ALL_FACTS
# is asked instead, which has the same columns and others. The branches of that one cost PostgreSQL 40 µs a call even
# where none is entered.
_FACTS = """
select exists (select from caller_flags f where f.party = {caller} and f.status = 'stopped' and f.until > $3)
           as caller_stopped,
       p.id is not null as in_pool, n.kind, p.sms_sender_proof is not null as sms_proven,
       p.voice_proof_until as voice_proven_until,
       coalesce(s.free_at, n.free_at) as rests_until,
       n.kind = 'shared' and s.vn is null
           and exists (select from seats o where o.vn = q.vn and o.free_at > $3) as others,
       b.id, b.tenant_id, b.mode, b.status, b.ends_at, b.channels, b.caller_id, b.ttl_seconds, b.expire_after_call,
       b.real_number, b.real_index, b.peer_number, b.peer_index, b.vn,
       n.vn is null or n.kind = 'extension' or b.mode in ('per_side', 'group', 'outbound') or b.rules is not null
           or p.rules is not null
           or p.has_blocks or b.has_blocks
           or exists (select from intercept_hooks h where h.tenant_id = b.tenant_id) as more
from {asked}
left join numbers n on n.vn = q.vn
left join pools p on p.id = n.pool_id
left join seats s on s.vn = q.vn and s.party = {caller} and n.kind = 'shared'
left join bindings b on b.id = case n.kind when 'exclusive' then n.binding_id else s.binding_id end
"""

FACTS = _FACTS.format(caller="$2", asked="(select $1::bigint as vn) as q")

# The same of many pairs of number and caller, in their order. `offset 0` keeps PostgreSQL from joining whole tables.
FACTS_OF_MANY = f"""
select f.* from unnest($1::bigint[], $2::bytea[]) with ordinality as a (vn, caller, place)
 cross join lateral ({_FACTS.format(caller="a.caller", asked="(select a.vn) as q")} offset 0) as f
 order by a.place
"""

# All that is stored about one number dialled and one caller, in one row.
# $1 number dialled, $2 caller, $3 now, $4 digits asked for (an extension), $5 and $6 whom a subscriber wants to call,
# as key and as party, $7 the call itself.
ALL_FACTS = """
select exists (select from caller_flags f where f.party = $2 and f.status = 'stopped' and f.until > $3)
           as caller_stopped,
       true as all_told, p.id is not null as in_pool, n.kind,
       case b.mode
           when 'per_side' then (select o.sms_sender_proof is not null from pools o
                                  where o.numbers @> case q.vn when b.vn then b.peer_vn else b.vn end)
           when 'outbound' then (select o.sms_sender_proof is not null from pools o where o.id = b.pool_id)
           else p.sms_sender_proof is not null
       end as sms_proven,
       case b.mode
           when 'per_side' then (select o.voice_proof_until from pools o
                                  where o.numbers @> case q.vn when b.vn then b.peer_vn else b.vn end)
           when 'outbound' then (select o.voice_proof_until from pools o where o.id = b.pool_id)
           else p.voice_proof_until
       end as voice_proven_until,
       case n.kind
           when 'extension' then (select e.free_at from extensions e
                                   where e.vn = b.vn and e.extension = b.extension and e.binding_id = b.id)
           else coalesce(s.free_at, n.free_at)
       end as rests_until,
       case n.kind
           when 'shared' then s.vn is null
                              and exists (select from seats o where o.vn = q.vn and o.free_at > $3)
           when 'extension' then exists (select from extensions e where e.vn = q.vn and e.free_at > $3)
           else false
       end as others,
       b.id, b.tenant_id, b.mode, b.status, b.ends_at, b.channels, b.caller_id, b.ttl_seconds, b.expire_after_call,
       b.real_number, b.real_index, b.peer_number, b.peer_index, b.vn, b.peer_vn, b.ring, b.last_caller,
       b.last_caller_index, $6::bytea as dialled_index, b.reference, b.rules, coalesce(b.pool_id, p.id) as pool_id,
       case when b.pool_id <> p.id or p.id is null then (select o.rules from pools o where o.id = b.pool_id)
            else p.rules
       end as pool_rules,
       case b.mode when 'group' then array(select m.number from binding_members m
                                            where m.binding_id = b.id order by m.position)
       end as members,
       case b.mode when 'group' then array(select m.party from binding_members m
                                            where m.binding_id = b.id order by m.position)
       end as member_indexes,
       array(select x.direction::bytea || x.party from blocked_parties x
              where x.scope in (b.id, coalesce(b.pool_id, p.id))
                and x.party = any (array[$2, b.real_index, b.peer_index, b.last_caller_index, $6]
                                   || case b.mode when 'group' then array(select m.party from binding_members m
                                                                           where m.binding_id = b.id)
                                      end)) as blocked,
       case b.mode when 'outbound' then exists (select from pools o where o.numbers @> $5::bigint)
            else false
       end as dialled_is_virtual,
       case when b.rules ? 'concurrent_calls' or p.rules ? 'concurrent_calls'
            then (select count(*) from calls c
                   where c.vn = case b.mode when 'outbound' then b.vn else q.vn end
                     and c.ended_at is null and c.direction <> 'none' and c.id is distinct from $7::uuid)
       end as open_calls,
       h.url as hook_url, h.secret as hook_secret, h.deadline_ms as hook_deadline_ms, h.on_failure as hook_on_failure
from (select $1::bigint as vn) as q
left join pools p on p.numbers @> q.vn
left join numbers n on n.vn = q.vn
left join seats s on s.vn = q.vn and s.party = $2 and n.kind <> 'exclusive'
left join bindings b on b.id = case
    when p.id is null then (select o.id from bindings o
                             where o.real_index = $2 and o.mode = 'outbound' and o.status = 'active')
    when n.kind = 'exclusive' then n.binding_id
    when n.kind = 'extension' and $4::text is not null then (select e.binding_id from extensions e
                                                              where e.vn = q.vn and e.extension = $4)
    else s.binding_id end
left join intercept_hooks h on h.tenant_id = b.tenant_id
"""

# Whom calls may soon ask about: the numbers of the newest bindings, each with its parties where it is shared.
NEWEST_SEATS = """
with newest as (select id, vn, mode, status from bindings order by id desc limit $1)
select n.vn, s.party
  from newest n
  left join lateral (select o.party from seats o where o.binding_id = n.id and o.vn = n.vn offset 0) s on true
 where n.status = 'active' and n.mode in ('one_way', 'bidirectional')
"""

STOPPED_CALLERS = "select party from caller_flags where status = 'stopped' and until > $1"

POOL_RANGES = "select lower(numbers) as first, upper(numbers) - 1 as last from pools"

_BLOCK = "id, tenant_id, pool_id, binding_id, scope, party, number, direction, created_at"

BINDING_OPEN = "select exists (select from bindings where id = $1 and ($2::uuid is null or tenant_id = $2))"
NUMBERS_OF_BINDING = "select vn, peer_vn from bindings where id = $1"
POOL_OPEN = "select exists (select from pools where id = $1 and ($2::uuid is null or owner_id = $2))"

# What the operator has blocked stays the operator's.
PUT_BLOCK = f"""
insert into blocked_parties (tenant_id, pool_id, binding_id, party, number, direction, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (scope, party) do update
   set tenant_id = excluded.tenant_id, direction = excluded.direction, number = excluded.number
 where blocked_parties.tenant_id = excluded.tenant_id or excluded.tenant_id is null
returning {_BLOCK}
"""

DELETE_BLOCK = f"delete from blocked_parties where id = $1 and ($2::uuid is null or tenant_id = $2) returning {_BLOCK}"

LIST_BLOCKS = f"""
select {_BLOCK} from blocked_parties
 where ($1::uuid is null or tenant_id = $1) and ($2::uuid is null or binding_id = $2)
   and ($3::uuid is null or pool_id = $3) and ($4::uuid is null or id < $4)
 order by id desc limit $5
"""

PUT_HOOK = """
insert into intercept_hooks (tenant_id, url, secret, deadline_ms, on_failure, changed_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (tenant_id) do update set url = excluded.url, secret = excluded.secret, deadline_ms = excluded.deadline_ms,
    on_failure = excluded.on_failure, changed_at = excluded.changed_at
returning url, deadline_ms, on_failure, changed_at
"""
GET_HOOK = "select url, deadline_ms, on_failure, changed_at from intercept_hooks where tenant_id = $1"
DELETE_HOOK = "delete from intercept_hooks where tenant_id = $1 returning url, deadline_ms, on_failure, changed_at"
