"""The SQL of applications for an exemption."""

_FIELDS = "id, tenant_id, route, status, details, certificate_id, reason, decided_at, created_at"
_OPEN = "status in ('draft', 'waiting', 'refused')"

INSERT = f"""
insert into sender_exemption_applications (id, tenant_id, route, status, details, created_at)
values ($1, $2, $3, 'draft', $4, $5)
returning {_FIELDS}
"""
OPEN = f"select {_FIELDS} from sender_exemption_applications where tenant_id = $1 and {_OPEN}"
APPROVED = f"select {_FIELDS} from sender_exemption_applications where tenant_id = $1 and status = 'approved'"
LOCK_OPEN = f"{OPEN} for update"
REVIEW = f"""
select {_FIELDS} from sender_exemption_applications
 where status = 'waiting' and ($1::uuid is null or id < $1) order by id desc limit $2
"""

# Whatever is changed has still to be submitted. Why an operator refused it stays to be read until then.
SET_DETAILS = f"""
update sender_exemption_applications
   set route = 'integration', status = 'draft', details = $2, certificate_id = null
 where id = $1
returning {_FIELDS}
"""
SET_CERTIFICATE = f"""
update sender_exemption_applications
   set route = 'carrier', status = 'draft', details = null, certificate_id = $2
 where id = $1
returning {_FIELDS}
"""
INSERT_CERTIFICATE = """
insert into sender_documents (id, tenant_id, application_id, kind, media_type, size, wrapped_key, content, created_at)
values ($1, $2, $3, 'registration', $4, $5, $6, $7, $8)
"""
CERTIFICATES = """
select id, tenant_id, sender_id, kind, media_type, size, created_at
  from sender_documents where id = any($1::uuid[])
"""
ERASE_OTHER_CERTIFICATES = """
delete from sender_documents where application_id = $1 and ($2::uuid is null or id <> $2)
"""

SUBMIT = f"""
update sender_exemption_applications set status = 'waiting', reason = null where id = $1 returning {_FIELDS}
"""
APPROVE = f"""
update sender_exemption_applications set status = 'approved', decided_at = $2 where id = $1 returning {_FIELDS}
"""
REFUSE = f"""
update sender_exemption_applications set status = 'refused', reason = $2, decided_at = $3 where id = $1
returning {_FIELDS}
"""
END = """
update sender_exemption_applications set status = 'ended', details = null, certificate_id = null where id = $1
"""
END_APPROVED = """
update sender_exemption_applications set status = 'ended', details = null, certificate_id = null
 where tenant_id = $1 and status = 'approved' returning id
"""
EXEMPTION = "select tenant_id, route, proof, approved_at, ends_at from sender_exemptions where tenant_id = $1"
