"""The SQL of accounts, login codes and sessions."""

_USER = """u.id, u.tenant_id, u.login, u.role, u.name, u.birth_date, u.mobile_masked, u.must_change, u.locked_until,
       u.created_at"""

INSERT = """
insert into users as u (id, tenant_id, login, role, name, birth_date, mobile, mobile_masked, password_hash, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (login) do nothing
returning u.id
"""
SELECT = f"select {_USER} from users u where u.id = $1"
OF_TENANT = f"select {_USER} from users u where u.tenant_id = $1 order by u.id"
BY_LOGIN = f"""
select {_USER}, u.password_hash, u.mobile, t.status as tenant_status
  from users u join tenants t on t.id = u.tenant_id where u.login = $1
"""
NAMES = "select id, login from users where id = any($1::uuid[])"
LOCK = "select failures, locked_until, password_hash from users where id = $1 for update"
COUNT_FAILURE = "update users set failures = failures + 1 where id = $1 returning failures, tenant_id, login"
LOCK_ACCOUNT = "update users set failures = 0, locked_until = $2 where id = $1"
UNLOCK = "update users set failures = 0, locked_until = null where id = $1 returning tenant_id"
SET_HASH = "update users set password_hash = $2, must_change = $3 where id = $1 returning tenant_id"
HASH_OF = "select password_hash, login from users where id = $1"

INSERT_CODE = """
insert into login_codes (token_hash, user_id, code_hash, requested_at, expires_at) values ($1, $2, $3, $4, $5)
"""
COUNT_CODES = "select count(*) from login_codes where user_id = $1 and requested_at > $2"
PENDING = f"""
select {_USER}, u.mobile, c.code_hash, c.requested_at, c.expires_at, c.tries
  from login_codes c join users u on u.id = c.user_id
 where c.token_hash = $1
"""
LOCK_CODE = "select user_id, code_hash, expires_at, tries from login_codes where token_hash = $1 for update"
COUNT_TRY = "update login_codes set tries = tries + 1 where token_hash = $1"
USE_CODE = "update login_codes set code_hash = null where token_hash = $1"

INSERT_SESSION = """
insert into user_sessions (token_hash, user_id, created_at, seen_at, expires_at) values ($1, $2, $3, $3, $4)
"""
SESSION = f"""
select {_USER}, s.seen_at
  from user_sessions s join users u on u.id = s.user_id join tenants t on t.id = u.tenant_id
 where s.token_hash = $1 and s.expires_at > $2 and s.seen_at > $3 and t.status = 'active'
"""
SEEN = "update user_sessions set seen_at = $2 where token_hash = $1"
END_SESSION = "delete from user_sessions where token_hash = $1"
END_OTHERS = "delete from user_sessions where user_id = $1 and token_hash <> $2"
CLEAR = """
with codes as (delete from login_codes where requested_at < $1)
delete from user_sessions where expires_at < $1 or seen_at < $1
"""
