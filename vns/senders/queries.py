"""The SQL of sender numbers."""

_FIELDS = """id, tenant_id, number, number_masked, label, status, method, reason, verified_at, expires_at, created_at"""

# Registrations of one tenant queue up here, so that the quota counts each of them.
LOCK_TENANT = "select pg_advisory_xact_lock(hashtextextended($1::text, 1397638482))"

POLICY = "select proof, max_numbers, valid_days, allow_050 from sender_policies where tenant_id = $1"

SET_POLICY = """
insert into sender_policies (tenant_id, proof, max_numbers, valid_days, allow_050) values ($1, $2, $3, $4, $5)
on conflict (tenant_id) do update
   set proof = excluded.proof, max_numbers = excluded.max_numbers, valid_days = excluded.valid_days,
       allow_050 = excluded.allow_050
"""

# Where a number counts with no proof of its own, or an approved manager proves many at once.
BULK_OFFERED = """
select exists (select from sender_managers where tenant_id = $1 and status = 'approved')
       or exists (select from sender_exemptions where tenant_id = $1 and ends_at > $2)
"""

COUNT = "select count(*) from sender_numbers where tenant_id = $1 and status <> 'removed'"

REGISTERED = """
select number_index from sender_numbers
 where tenant_id = $1 and number_index = any($2::bytea[]) and status <> 'removed'
"""

INSERT = f"""
insert into sender_numbers (id, tenant_id, number, number_index, number_masked, label, status, method, verified_at,
                            expires_at, created_at)
select * from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::timestamptz[], $10::timestamptz[], $11::timestamptz[])
returning {_FIELDS}
"""

# Another tenant's is not there.
SELECT = f"select {_FIELDS} from sender_numbers where tenant_id = $1 and id = $2 and status <> 'removed'"
LOCK = f"""
select {_FIELDS}, number_index, code_hash, code_expires_at, code_tries
  from sender_numbers where tenant_id = $1 and id = $2 and status <> 'removed' for update
"""

LIST = f"""
select {_FIELDS} from sender_numbers
 where tenant_id = $1 and status <> 'removed' and ($2::bytea is null or number_index = $2)
   and ($3::uuid is null or id < $3)
 order by id desc limit $4
"""

LIST_OLDEST = f"""
select {_FIELDS} from sender_numbers
 where tenant_id = $1 and status <> 'removed' and ($2::bytea is null or number_index = $2)
   and ($3::uuid is null or id > $3)
 order by id limit $4
"""

CODE_UNTIL = """
select code_expires_at from sender_numbers
 where tenant_id = $1 and id = $2 and code_hash is not null and code_expires_at > $3 and code_tries < $4
"""

SET_CODE = """
update sender_numbers set code_hash = $2, code_expires_at = $3, code_tries = 0 where id = $1
"""
COUNT_TRY = "update sender_numbers set code_tries = code_tries + 1 where id = $1"

VERIFY = f"""
update sender_numbers
   set status = 'verified', method = $2, reason = $3, verified_at = $4, expires_at = $5, code_hash = null,
       code_expires_at = null
 where id = $1
returning {_FIELDS}
"""
FAIL = f"""
update sender_numbers
   set status = 'failed', reason = $2, code_hash = null, code_expires_at = null
 where id = $1
returning {_FIELDS}
"""
REMOVE = f"""
update sender_numbers
   set status = 'removed', number = null, number_index = null, code_hash = null, code_expires_at = null, label = ''
 where id = $1
returning {_FIELDS}
"""

LOCK_NUMBER = "select pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 1397638483))"
CODES_SINCE = "select at from sender_codes where number_index = $1 and at > $2"
COUNT_CODE = "insert into sender_codes (number_index, at) values ($1, $2)"
FORGET_CODES = "delete from sender_codes where number_index = $1 and at <= $2"

_DOCUMENT = "id, tenant_id, sender_id, manager_id, application_id, kind, media_type, size, created_at"
COUNT_DOCUMENTS = "select count(*) from sender_documents where sender_id = $1"
INSERT_DOCUMENT = f"""
insert into sender_documents (id, tenant_id, sender_id, media_type, size, wrapped_key, content, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning {_DOCUMENT}
"""
WAIT_AGAIN = "update sender_numbers set status = 'waiting', reason = null where id = $1 and status = 'failed'"
DOCUMENTS = f"select {_DOCUMENT} from sender_documents where tenant_id = $1 and sender_id = $2 order by id"
DOCUMENT = f"select {_DOCUMENT}, wrapped_key, content from sender_documents where tenant_id = $1 and id = $2"
ERASE_DOCUMENTS = "delete from sender_documents where sender_id = $1"

# What an operator has still to decide on. A number that failed and got another document waits again.
REVIEW = f"""
select {_FIELDS} from sender_numbers s
 where status = 'waiting' and ($1::uuid is null or id < $1)
   and exists (select from sender_documents d where d.sender_id = s.id)
 order by id desc limit $2
"""

PUT_ACCOUNT = """
insert into sending_accounts (tenant_id, administrator_id, created_at) values ($1, $2, $3)
on conflict (tenant_id) do nothing returning tenant_id
"""
ADMINISTRATOR = "select administrator_id from sending_accounts where tenant_id = $1"
DELETE_ACCOUNT = "delete from sending_accounts where tenant_id = $1 and administrator_id = $2 returning tenant_id"
ACCOUNTS = """
select a.tenant_id, t.code, t.name, a.created_at
  from sending_accounts a join tenants t on t.id = a.tenant_id
 where a.administrator_id = $1 order by t.code
"""

# Proofs in force that end before $2 and were not told of; a proof given anew has another end and is told of again.
REMIND = """
update sender_numbers set reminded_of = expires_at
 where id = any(array(select id from sender_numbers
                       where status = 'verified' and expires_at > $1 and expires_at <= $2
                         and reminded_of is distinct from expires_at
                       order by expires_at limit $3 for update skip locked))
returning id, tenant_id, number_masked, expires_at
"""

EXEMPT_UNTIL = "select ends_at from sender_exemptions where tenant_id = $1 and ends_at > $2"
PUT_EXEMPTION = """
insert into sender_exemptions (tenant_id, route, proof, approved_at, ends_at) values ($1, $2, $3, $4, $5)
on conflict (tenant_id) do update
   set route = excluded.route, proof = excluded.proof, approved_at = excluded.approved_at, ends_at = excluded.ends_at
returning tenant_id, route, proof, approved_at, ends_at
"""
# What waits, and what a former exemption has proven. Other proofs stand on their own.
EXEMPT_NUMBERS = """
update sender_numbers
   set status = 'verified', method = 'exempt', reason = null, verified_at = $2, expires_at = $3, code_hash = null,
       code_expires_at = null
 where tenant_id = $1 and (status = 'waiting' or (status = 'verified' and method = 'exempt'))
"""
# As REMIND: also where the tenant has no number whose proof ends.
REMIND_OF_EXEMPTIONS = """
update sender_exemptions set reminded_of = ends_at
 where ends_at > $1 and ends_at <= $2 and reminded_of is distinct from ends_at
returning tenant_id, route, ends_at
"""
DELETE_EXEMPTION = "delete from sender_exemptions where tenant_id = $1 returning tenant_id"
UNEXEMPT_NUMBERS = """
update sender_numbers set status = 'waiting', method = null, verified_at = null, expires_at = null
 where tenant_id = $1 and status = 'verified' and method = 'exempt'
"""
