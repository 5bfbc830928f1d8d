-- People who log in, the codes that they are sent, and their sessions. Of passwords and tokens only hashes are kept.
create table users (
    id            uuid primary key,
    tenant_id     uuid not null references tenants,
    login         text not null unique check (login ~ '^[a-z0-9][a-z0-9._-]{2,39}$'),
    role          text not null check (role in ('operator', 'mall_admin', 'mall_user', 'sender_manager', 'read_only')),
    name          text not null check (char_length(name) between 1 and 100),
    birth_date    bytea,                           -- AES-256-GCM
    mobile        bytea not null,                  -- AES-256-GCM
    mobile_masked text not null,
    password_hash text not null,                   -- argon2id
    must_change   boolean not null default true,   -- the password is a temporary one
    failures      smallint not null default 0 check (failures >= 0),
    locked_until  timestamptz,
    created_at    timestamptz not null
);
create index users_of_tenant on users (tenant_id, id);

-- A login whose password was right and whose code has not been entered yet.
create table login_codes (
    token_hash    bytea primary key check (octet_length(token_hash) = 32),
    user_id       uuid not null references users on delete cascade,
    code_hash     bytea check (octet_length(code_hash) = 32),  -- null: used up
    requested_at  timestamptz not null,
    expires_at    timestamptz not null,            -- of the code
    tries         smallint not null default 0 check (tries >= 0)
);
create index login_codes_of_user on login_codes (user_id, requested_at);

create table user_sessions (
    token_hash    bytea primary key check (octet_length(token_hash) = 32),
    user_id       uuid not null references users on delete cascade,
    created_at    timestamptz not null,
    seen_at       timestamptz not null,
    expires_at    timestamptz not null             -- however busy it is
);
create index user_sessions_of_user on user_sessions (user_id);
create index user_sessions_by_end on user_sessions (expires_at);
