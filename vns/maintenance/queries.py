"""The SQL of the background worker. Transaction ids travel as bigint: the driver knows no xid8."""

LAST_SEAL = """
select seq, to_txid::text::bigint as to_txid, hash from journal_seals order by seq desc limit 1
"""

# Every transaction below the horizon has ended, so no row can still appear there. A seal covers whole transactions:
# it ends where the row after `$2` of them begins, but not before the end of the first transaction, however large.
SEAL_END = """
with open as (
    select txid, id from journal
    where txid >= $1::bigint::text::xid8 and txid < pg_snapshot_xmin(pg_current_snapshot())
    order by txid, id limit $2 + 1
)
select greatest(
    (select min(txid)::text::bigint + 1 from open),
    coalesce((select txid from open order by txid, id offset $2),
             pg_snapshot_xmin(pg_current_snapshot()))::text::bigint)
"""

ROWS_BETWEEN = """
select txid::text::bigint as txid, id, at, tenant_id, actor, event, subject, data from journal
where txid >= $1::bigint::text::xid8 and txid < $2::bigint::text::xid8
order by txid, id
"""

INSERT_SEAL = """
insert into journal_seals (seq, from_txid, to_txid, rows, previous, hash, sealed_at)
values ($1, $2::bigint::text::xid8, $3::bigint::text::xid8, $4, $5, $6, $7)
"""

SEALS_AFTER = """
select seq, from_txid::text::bigint as from_txid, to_txid::text::bigint as to_txid, rows, previous, hash
from journal_seals where seq > $1 order by seq limit 100
"""

UNSEALED = "select count(*) from journal where txid >= $1::bigint::text::xid8"
# Below the horizon of the last seal nothing may stand that no seal covers; this finds a database restored wrongly.
NEXT_TXID = "select pg_current_xact_id()::text::bigint"

CLEAR_STORED_ANSWERS = """
with cleared as (
    delete from idempotency_keys where ctid = any(array(
        select ctid from idempotency_keys where created_at <= $1 limit $2 for update skip locked))
    returning 1
)
select count(*) from cleared
"""


def clear_days(table: str) -> str:
    """Rows of days before $1, $2 at most."""
    return f"""
with cleared as (
    delete from {table} where ctid = any(array(select ctid from {table} where day < $1 limit $2 for update skip locked))
    returning 1
)
select count(*) from cleared
"""


CLEAR_CODES = """
with cleared as (
    delete from sender_codes where ctid = any(array(
        select ctid from sender_codes where at <= $1 limit $2 for update skip locked))
    returning 1
)
select count(*) from cleared
"""

# How many numbers of each pool are free, counted no further than its mark: a full pool of millions costs no more than
# its mark, since the order makes the planner take the index that stops there. Never used: what the stripes have left,
# but for numbers that were named or held ahead of them.
FREE_UP_TO_MARK = """
select p.id as pool_id, p.owner_id, p.low_water, p.low_noticed, f.fresh + r.rested + e.empty as free
from pools p
cross join lateral (
    select coalesce(sum(s.last_key - s.next_key + 1
                        - (select count(*) from numbers n where n.vn between s.next_key and s.last_key)), 0)::bigint
    from pool_stripes s where s.pool_id = p.id
) f (fresh)
cross join lateral (
    select count(*) from (
        select from numbers n
        where n.pool_id = p.id and n.kind = 'exclusive' and n.hold is null and n.free_at <= $1
        order by n.free_at limit p.low_water) n
) r (rested)
cross join lateral (
    select case when f.fresh + r.rested >= p.low_water then 0 else (
        select count(*) from (
            select from numbers n
            where n.pool_id = p.id and n.kind = 'shared' and n.hold is null
              and not exists (select from seats s where s.vn = n.vn and s.free_at > $1)
            order by n.vn limit p.low_water) n) end
) e (empty)
"""
NOTE_LOW = "update pools set low_noticed = $2 where id = $1"

ONE_WORKER = "select pg_try_advisory_lock($1)"
NO_WORKER = "select pg_advisory_unlock($1)"
