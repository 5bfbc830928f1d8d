"""The SQL of the decision."""

# All that is stored about one virtual number and one caller, in one row.
FACTS = """
select p.id is not null as in_pool, p.sms_sender_proof is not null as sender_proven,
       coalesce(s.free_at, n.free_at) as rests_until,
       n.kind = 'shared' and s.vn is null
           and exists (select from seats o where o.vn = q.vn and o.free_at > $3) as others,
       b.id, b.tenant_id, b.mode, b.status, b.ends_at, b.channels, b.caller_id, b.ttl_seconds, b.expire_after_call,
       b.real_number, b.real_index, b.peer_number, b.peer_index
from (select $1::bigint as vn) as q
left join pools p on p.numbers @> q.vn
left join numbers n on n.vn = q.vn
left join seats s on s.vn = q.vn and s.party = $2 and n.kind = 'shared'
left join bindings b on b.id = case n.kind when 'exclusive' then n.binding_id else s.binding_id end
"""

POOL_RANGES = "select lower(numbers) as first, upper(numbers) - 1 as last from pools"
