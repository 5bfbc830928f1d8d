"""The SQL of pools."""

INSERT_POOL = """
insert into pools (name, service, numbers, owner_id, modes, sms_sender_proof, quarantine_seconds,
                   default_ttl_seconds, low_water, created_at, managed_by, voice_proof, voice_proof_until)
values ($1, $2, int8range($3, $4, '[]'), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
returning id
"""

INSERT_STRIPES = """
insert into pool_stripes (pool_id, stripe, next_key, last_key)
select $1, stripe, first, last from unnest($2::smallint[], $3::bigint[], $4::bigint[]) as s (stripe, first, last)
"""

SELECT_POOLS = """
select id, name, service, lower(numbers) as first, upper(numbers) - 1 as last, owner_id, modes, sms_sender_proof,
       quarantine_seconds, default_ttl_seconds, low_water, locked, created_at, rules, managed_by, voice_proof,
       voice_proof_until
from pools
"""
LOCK_RULES = "select rules from pools where id = $1 for update"
SET_RULES = "update pools set rules = $2 where id = $1"

# $10 a voice proof, $11 its end, $12 and $13 whether the proof of texts and that of calls is withdrawn, $14 "never". A
# proof of texts proves calls too where nothing does.
UPDATE_POOL = """
update pools
set name = coalesce($2, name), modes = coalesce($3, modes),
    sms_sender_proof = case when not $12::boolean then coalesce($4, sms_sender_proof) end,
    voice_proof = case when not $13::boolean then coalesce($10, voice_proof, $4) end,
    voice_proof_until = case
        when $13 then null
        when $10::text is null and voice_proof is not null then coalesce($11::timestamptz, voice_proof_until)
        when coalesce($10, $4) is null then $11
        else coalesce($11, $14::timestamptz)
    end,
    quarantine_seconds = coalesce($5, quarantine_seconds), default_ttl_seconds = coalesce($6, default_ttl_seconds),
    low_water = coalesce($7, low_water), locked = coalesce($8, locked),
    managed_by = coalesce($9, managed_by)
where id = $1
"""

# Proofs in force that end before $2 and were not told of; a new end is told of again.
REMIND = """
update pools set voice_reminded_of = voice_proof_until
 where voice_proof_until > $1 and voice_proof_until <= $2 and voice_reminded_of is distinct from voice_proof_until
returning id, name, owner_id, voice_proof, voice_proof_until
"""

# A number that was never used gets its row here; 1970 ranks it before every rested number.
HOLD_NUMBERS = """
insert into numbers (vn, pool_id, kind, free_at, hold)
select vn, $1, 'exclusive', '1970-01-01 00:00+00', $3 from unnest($2::bigint[]) as n (vn) order by vn
on conflict (vn) do update set hold = excluded.hold
"""

UNHOLD_NUMBERS = "update numbers set hold = null where pool_id = $1 and vn = any($2::bigint[])"

# A shared number counts as live while any pair on it is, although other pairs may still join it.
COUNT_NUMBERS = """
select p.id as pool_id, upper(p.numbers) - lower(p.numbers) as total,
       count(*) filter (where s.live) as live,
       count(*) filter (where s.resting and not s.live) as quarantined,
       count(*) filter (where s.hold is not null) as locked,
       count(*) filter (where s.live or s.resting or s.hold is not null) as taken
from pools p
left join lateral (
    select n.hold,
           case n.kind
               when 'exclusive' then coalesce(b.status = 'active' and b.ends_at > $2, false)
               else exists (select from seats join bindings pair on pair.id = seats.binding_id
                            where seats.vn = n.vn and pair.status = 'active' and pair.ends_at > $2)
           end as live,
           case n.kind
               when 'exclusive' then n.free_at > $2
               else exists (select from seats where seats.vn = n.vn and seats.free_at > $2)
           end as resting
    from numbers n left join bindings b on b.id = n.binding_id
    where n.pool_id = p.id
) s on true
where p.id = any($1::uuid[])
group by p.id
"""

STORE_SAMPLES = """
insert into pool_samples (pool_id, at, total, free, live, quarantined, locked)
select * from unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                     $7::bigint[])
on conflict do nothing
"""
DROP_SAMPLES = "delete from pool_samples where at < $1"
SELECT_SAMPLES = """
select pool_id, at, total, free, live, quarantined, locked from pool_samples
where pool_id = any($1::uuid[]) and at >= $2 order by pool_id, at
"""
LATEST_SAMPLES = """
select s.* from unnest($1::uuid[]) as p (id)
cross join lateral (select pool_id, at, total, free, live, quarantined, locked from pool_samples
                    where pool_id = p.id order by at desc limit 1) s
"""
