-- The core's tables. Numbers are stored as the integer value of their national digits ("key"):
-- 050412345678 -> 50412345678, 18771234 -> 18771234; vns.numbering turns one into the other.
-- "Never" is 9999-01-01 and "always" 1970-01-01, both UTC: the driver turns 'infinity' into a time without zone.

create table tenants (
    id          uuid primary key default uuidv7(),
    code        text not null unique check (code ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name        text not null,
    kind        text not null check (kind in ('mall', 'courier', 'operator')),
    status      text not null default 'active' check (status in ('active', 'suspended')),
    max_live_bindings    integer check (max_live_bindings >= 0),       -- null: no limit
    requests_per_second  integer check (requests_per_second > 0),      -- null: no limit
    created_at  timestamptz not null default now()
);

create table api_keys (
    id          uuid primary key default uuidv7(),
    tenant_id   uuid not null references tenants,
    secret_hash bytea not null unique check (octet_length(secret_hash) = 32),  -- SHA-256 of a 256-bit random secret
    hint        text not null,                     -- first characters of the key, for people
    scopes      text[] not null,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz,                       -- set on rotation: old and new overlap until then
    revoked_at  timestamptz
);
create index api_keys_tenant on api_keys (tenant_id);

-- A mall lets a courier look its deliveries up.
create table delivery_grants (
    courier_id  uuid not null references tenants,
    mall_id     uuid not null references tenants,
    primary key (courier_id, mall_id)
);

create table pools (
    id          uuid primary key default uuidv7(),
    name        text not null unique,
    service     text not null check (service in ('050', '070', '1877')),
    numbers     int8range not null check (not isempty(numbers)),       -- [first, last + 1)
    owner_id    uuid references tenants,           -- null: the operator's, open to every tenant
    modes       text[] not null,
    sms_sender_proof   text,                       -- where the proof that these VNs may send texts is filed; null: not proven
    quarantine_seconds integer not null default 604800 check (quarantine_seconds >= 0),
    default_ttl_seconds integer check (default_ttl_seconds > 0),       -- sliding expiry when a request names none
    locked      boolean not null default false,    -- no new bindings from this pool
    low_water   integer not null default 0 check (low_water >= 0),     -- free numbers below this: event pool.low
    low_noticed boolean not null default false,
    created_at  timestamptz not null default now(),
    constraint pools_do_not_overlap exclude using gist (numbers with &&)
);

-- Numbers never used have no row anywhere: each stripe of a pool counts up through its own part of the range,
-- so that allocators working at the same time take different stripes.
create table pool_stripes (
    pool_id     uuid not null references pools,
    stripe      smallint not null,
    next_key    bigint not null,
    last_key    bigint not null,
    primary key (pool_id, stripe),
    check (next_key <= last_key + 1)
);

create table bindings (
    id          uuid primary key,
    tenant_id   uuid not null references tenants,
    pool_id     uuid not null references pools,
    vn          bigint not null,
    mode        text not null check (mode in ('one_way', 'bidirectional')),
    status      text not null default 'active' check (status in ('active', 'released', 'expired', 'consumed')),
    real_number bytea not null,                    -- AES-256-GCM, see vns.crypto
    real_index  bytea not null check (octet_length(real_index) = 16),
    peer_number bytea,
    peer_index  bytea check (octet_length(peer_index) = 16),
    reference   text,
    purpose     text not null default 'delivery',
    channels    text[] not null,
    caller_id   text not null check (caller_id in ('caller', 'virtual')),
    expires_at  timestamptz,                       -- absolute end; null: none
    ttl_seconds integer check (ttl_seconds > 0),   -- sliding end; null: none
    expire_after_call boolean not null default false,
    ends_at     timestamptz not null,              -- effective end as of now; "live" is active and ends_at in the future
    created_at  timestamptz not null,
    ended_at    timestamptz,
    check ((mode = 'bidirectional') = (peer_index is not null)),
    check ((peer_index is null) = (peer_number is null)),
    check (peer_index <> real_index),
    check ((status = 'active') = (ended_at is null))
);
-- Invariant 1, first half: an exclusive VN has at most one live binding.
create unique index bindings_one_live_per_exclusive_vn on bindings (vn) where status = 'active' and mode = 'one_way';
create index bindings_of_tenant on bindings (tenant_id, id);
create index bindings_live_of_tenant on bindings (tenant_id, ends_at) where status = 'active';  -- counted for quotas
create index bindings_by_reference on bindings (reference, tenant_id, id) where reference is not null;
create index bindings_without_reference on bindings (tenant_id, real_index) where reference is null and status = 'active';
create index bindings_by_vn on bindings (vn, id);
create index bindings_to_expire on bindings (ends_at) where status = 'active' and ends_at < '9999-01-01 00:00+00';

-- One row for every number that was ever used, named, locked or reserved.
create table numbers (
    vn          bigint primary key,
    pool_id     uuid not null references pools,
    kind        text not null check (kind in ('exclusive', 'shared')),
    binding_id  uuid references bindings deferrable initially deferred,  -- exclusive: the live or last binding
    free_at     timestamptz not null,              -- exclusive: end of quarantine; shared: never
    hold        text check (hold in ('locked', 'reserved')),
    unique (vn, kind),
    check (kind = 'exclusive' or (binding_id is null and free_at = '9999-01-01 00:00+00'))
);
create index numbers_longest_rested on numbers (pool_id, free_at) where kind = 'exclusive' and hold is null;
create index numbers_shared on numbers (pool_id, vn) where kind = 'shared' and hold is null;

-- The parties of pairs on shared numbers. Invariant 1, second half: the key allows one pair per (VN, party),
-- live or quarantined; a row may be taken over only once free_at has passed.
create table seats (
    vn          bigint not null,
    party       bytea not null check (octet_length(party) = 16),
    kind        text not null default 'shared' check (kind = 'shared'),
    binding_id  uuid not null references bindings deferrable initially deferred,
    free_at     timestamptz not null,              -- end of quarantine
    primary key (vn, party),
    foreign key (vn, kind) references numbers (vn, kind)
);
create index seats_of_party on seats (party, vn);
create index seats_of_binding on seats (binding_id);

create table idempotency_keys (
    tenant_id    uuid not null references tenants,
    key          text not null,
    request_hash bytea not null,
    status       smallint not null,
    body         text not null,                    -- the answer as given, JSON: numbers are masked in it
    created_at   timestamptz not null,
    primary key (tenant_id, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);

-- Every change that somebody may have to be told of or answer for: outbox and audit log in one append-only table.
-- Consumers and the sealer read it in the order of (txid, id) up to the oldest transaction still running.
create table journal (
    txid        xid8 not null default pg_current_xact_id(),
    id          bigint generated always as identity,
    at          timestamptz not null,
    tenant_id   uuid,
    actor       text not null,                     -- "key:<id>", "worker", "cli:<user>", "call:<id>" ...
    event       text not null,                     -- "binding.created", "pool.created", "key.revoked" ...
    subject     uuid,
    data        jsonb not null default '{}',       -- never a real number
    primary key (txid, id)
);

-- The hash chain over the journal, written in batches by one worker.
create table journal_seals (
    seq         bigint primary key,
    from_txid   xid8 not null,                     -- inclusive
    to_txid     xid8 not null,                     -- exclusive
    rows        bigint not null,
    previous    bytea not null,
    hash        bytea not null,
    sealed_at   timestamptz not null
);

-- Call detail records: one for every attempt, refused ones too.
create table calls (
    id          uuid primary key,
    tenant_id   uuid,
    binding_id  uuid,
    vn          bigint not null,
    direction   text not null check (direction in ('to_real', 'to_peer', 'none')),
    from_index  bytea,                             -- pseudonyms: the blind index; null: withheld
    to_index    bytea,
    from_masked text,
    to_masked   text,
    result      text not null default 'in_progress',  -- answered, or the refusal's reason
    cause       smallint,                          -- Q.850
    hangup_by   text check (hangup_by in ('caller', 'callee', 'platform')),
    arrived_at  timestamptz not null,
    ringing_at  timestamptz,
    answered_at timestamptz,
    ended_at    timestamptz,
    billed_seconds integer not null default 0 check (billed_seconds >= 0),
    bridge      text not null,                     -- which bridge answered the question
    channel     text not null,                     -- Asterisk's name of the caller's channel
    terminate_requested_at timestamptz
);
create index calls_of_tenant on calls (tenant_id, id);
create index calls_of_binding on calls (binding_id, id);
create index calls_of_vn on calls (vn, id);
create index calls_open on calls (arrived_at) where ended_at is null;

create sequence message_npro_ids as integer cycle;

-- Texts. `npro_id` travels in MSG_DATA.USERDATA and finds the row again after a crash.
create table messages (
    id          uuid primary key,
    npro_id     integer not null default nextval('message_npro_ids'),
    tenant_id   uuid,
    binding_id  uuid,
    vn          bigint not null,
    from_index  bytea,
    to_index    bytea,
    from_masked text,
    to_masked   text,
    status      text not null check (status in ('received', 'refused', 'queued', 'sent', 'delivered', 'failed', 'unknown')),
    reason      text,
    code        text,                              -- RSLT_CODE2
    kind        text not null check (kind in ('sms', 'lms', 'mms')),
    envelope    bytea,                             -- encrypted {"to", "from", "text"}, erased once there is a final result
    fingerprint bytea not null,                    -- keyed hash of link, parties and body: recognises the carrier's duplicates
    session     text not null,                     -- SMPP session it came in by
    received_at timestamptz not null,
    handed_at   timestamptz,                       -- known to be in MSG_DATA
    sent_at     timestamptz,
    finished_at timestamptz
);
create index messages_of_tenant on messages (tenant_id, id);
create index messages_of_binding on messages (binding_id, id);
create index messages_of_vn on messages (vn, id);
create index messages_by_fingerprint on messages (fingerprint, received_at);
create index messages_open on messages (npro_id) where status in ('received', 'queued', 'sent');
