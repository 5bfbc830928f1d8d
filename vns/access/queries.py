"""The SQL of tenants, keys and grants."""

_TENANT = "id, code, name, kind, status, max_live_bindings, requests_per_second, created_at"
_KEY = "id, tenant_id, hint, scopes, created_at, expires_at, revoked_at"

INSERT_TENANT = f"""
insert into tenants (code, name, kind, max_live_bindings, requests_per_second, created_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (code) do nothing
returning {_TENANT}
"""
SELECT_TENANTS = f"select {_TENANT} from tenants order by code"
SELECT_TENANT = f"select {_TENANT} from tenants where code = $1 or id::text = $1"
LOCK_TENANT = f"{SELECT_TENANT} for update"
SET_STATUS = f"update tenants set status = $2 where id = $1 returning {_TENANT}"
SET_QUOTAS = f"""
update tenants set max_live_bindings = $2, requests_per_second = $3 where id = $1 returning {_TENANT}
"""

INSERT_KEY = """
insert into api_keys (tenant_id, secret_hash, hint, scopes, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6)
returning id
"""
SELECT_KEYS = f"select {_KEY} from api_keys where tenant_id = $1 order by id"
LOCK_KEY = f"select {_KEY} from api_keys where id = $1 for update"
END_KEY_BY = "update api_keys set expires_at = least(expires_at, $2) where id = $1"
REVOKE_KEY = "update api_keys set revoked_at = $2 where id = $1"

INSERT_GRANT = """
insert into delivery_grants (courier_id, mall_id) values ($1, $2) on conflict do nothing returning true
"""
SELECT_GRANTS = """
select c.code as courier, m.code as mall
from delivery_grants g join tenants c on c.id = g.courier_id join tenants m on m.id = g.mall_id
order by c.code, m.code
"""
DELETE_GRANT = "delete from delivery_grants where courier_id = $1 and mall_id = $2 returning true"

# Everything that is decided from a key, in one row.
AUTHENTICATE = """
select t.id as tenant_id, t.code, t.kind, t.status, t.max_live_bindings, t.requests_per_second,
       k.id as key_id, k.scopes, k.expires_at, k.revoked_at,
       array(select g.mall_id from delivery_grants g where g.courier_id = t.id order by g.mall_id) as mall_ids
from api_keys k join tenants t on t.id = k.tenant_id
where k.secret_hash = $1
"""

# The condition is that of two partial indexes, word for word.
_ACTS = """
select j.at, t.code as tenant, j.actor, j.event, j.subject, j.data, j.txid::text::bigint as txid, j.id
from journal j left join tenants t on t.id = j.tenant_id
where j.event !~ '^(binding\\.(created|released|expired|consumed)|call\\.|message\\.)'
  and (j.txid, j.id) < ($1::bigint::text::xid8, $2::bigint){more}
order by j.txid desc, j.id desc
limit $3
"""
ACTS = _ACTS.format(more="")
ACTS_OF_TENANT = _ACTS.format(more=" and j.tenant_id = $4")
