"""The SQL of the command line alone: an operator looks across tenants, which no service does."""

TENANTS_OF_BINDINGS = """
select distinct b.tenant_id from bindings b
where ($1::uuid is null or b.id = $1) and ($2::bigint is null or b.vn = $2)
  and ($3::text is null or b.reference = $3)
"""

TAIL = """
select j.at, t.code as tenant, j.actor, j.event, j.subject, j.data, j.txid::text::bigint as txid, j.id
from journal j left join tenants t on t.id = j.tenant_id
where $2::text is null or j.event like $2 escape '!'
order by j.txid desc, j.id desc
limit $1
"""
