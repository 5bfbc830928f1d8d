"""The SQL of managers, and of numbers that are proven together."""

_FIELDS = """id, tenant_id, name, mobile, mobile_masked, status, reason, mobile_proven_at, decided_at, created_at"""

INSERT = f"""
insert into sender_managers (id, tenant_id, name, mobile, mobile_masked, status, created_at)
values ($1, $2, $3, $4, $5, 'draft', $6)
on conflict (tenant_id) where status <> 'ended' do nothing
returning {_FIELDS}
"""

CURRENT = f"select {_FIELDS} from sender_managers where tenant_id = $1 and status <> 'ended'"
LOCK = f"""
select {_FIELDS}, employment_id, attorney_id, code_hash, code_expires_at, code_tries
  from sender_managers where tenant_id = $1 and status <> 'ended' for update
"""
PAPERS = """
select id, tenant_id, sender_id, manager_id, kind, media_type, size, created_at
  from sender_documents where manager_id = any($1::uuid[]) order by id
"""
REVIEW = f"""
select {_FIELDS} from sender_managers
 where status = 'waiting' and ($1::uuid is null or id < $1) order by id desc limit $2
"""

CODE_UNTIL = """
select code_expires_at from sender_managers
 where tenant_id = $1 and status <> 'ended' and code_hash is not null and code_expires_at > $2 and code_tries < $3
"""
SET_CODE = "update sender_managers set code_hash = $2, code_expires_at = $3, code_tries = 0 where id = $1"
COUNT_TRY = "update sender_managers set code_tries = code_tries + 1 where id = $1"
PROVE_MOBILE = f"""
update sender_managers set mobile_proven_at = $2, code_hash = null, code_expires_at = null where id = $1
returning {_FIELDS}
"""

INSERT_PAPER = """
insert into sender_documents (id, tenant_id, manager_id, kind, media_type, size, wrapped_key, content, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
SET_PAPER = {
    "employment": "update sender_managers set employment_id = $2 where id = $1",
    "attorney": "update sender_managers set attorney_id = $2 where id = $1",
}
DELETE_PAPER = "delete from sender_documents where id = $1"

SUBMIT = f"update sender_managers set status = 'waiting', reason = null where id = $1 returning {_FIELDS}"
APPROVE = f"""
update sender_managers set status = 'approved', reason = null, decided_at = $2 where id = $1 returning {_FIELDS}
"""
REFUSE = f"""
update sender_managers set status = 'refused', reason = $2, decided_at = $3 where id = $1 returning {_FIELDS}
"""
END = """
update sender_managers
   set status = 'ended', name = null, mobile = null, employment_id = null, attorney_id = null, code_hash = null,
       code_expires_at = null
 where id = $1
"""
ERASE_PAPERS = "delete from sender_documents where manager_id = $1"

# A proof that is over may be given anew; what an operator has refused needs the operator.
_CHOOSABLE = "(status = 'waiting' or (status = 'verified' and expires_at <= $2))"
KNOWN = "select count(*) from sender_numbers where tenant_id = $1 and id = any($2::uuid[]) and status <> 'removed'"
CHOOSABLE = f"""
select id from sender_numbers where tenant_id = $1 and {_CHOOSABLE} and ($3::uuid[] is null or id = any($3)) order by id
"""
INSERT_SELECTION = """
insert into sender_selections (id, tenant_id, manager_id, sender_ids, code_hash, expires_at)
values ($1, $2, $3, $4, $5, $6)
"""
FORGET_SELECTIONS = "delete from sender_selections where tenant_id = $1 and expires_at <= $2"
SELECTION = """
select s.id, cardinality(s.sender_ids) as numbers, m.mobile_masked, s.expires_at
  from sender_selections s join sender_managers m on m.id = s.manager_id
 where s.tenant_id = $1 and s.id = $2
"""
LOCK_SELECTION = """
select id, manager_id, sender_ids, code_hash, code_tries, expires_at
  from sender_selections where tenant_id = $1 and id = $2 for update
"""
COUNT_SELECTION_TRY = "update sender_selections set code_tries = code_tries + 1 where id = $1"
DELETE_SELECTION = "delete from sender_selections where id = $1"
DELETE_SELECTIONS = "delete from sender_selections where manager_id = $1"
VERIFY_CHOSEN = f"""
update sender_numbers
   set status = 'verified', method = 'manager', reason = null, verified_at = $2, expires_at = $4, code_hash = null,
       code_expires_at = null
 where tenant_id = $1 and id = any($3::uuid[]) and {_CHOOSABLE}
returning id
"""
