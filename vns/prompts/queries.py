"""The SQL of prompts."""

_FIELDS = "id, tenant_id, name, text, seconds, octet_length(audio) as size, created_at"

# Uploads of one tenant queue up here, so that the count holds.
LOCK_TENANT = "select 1 from tenants where id = $1 for no key update"
COUNT = "select count(*) from prompts where tenant_id = $1"

INSERT = f"""
insert into prompts (id, tenant_id, name, text, audio, seconds, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
returning {_FIELDS}
"""
LIST = f"select {_FIELDS} from prompts where tenant_id = $1 order by id"
SELECT = f"select {_FIELDS} from prompts where tenant_id = $1 and id = $2"
AUDIO = "select audio from prompts where tenant_id = $1 and id = $2"
DELETE = "delete from prompts where tenant_id = $1 and id = $2 returning name"

IDS = "select id from prompts where id > $1 order by id limit $2"
SOUNDS = "select id, audio from prompts where id = any($1::uuid[])"
NAMES = "select id, encode(sha256(audio), 'hex') as name from prompts where id = any($1::uuid[])"
