-- Numbers that tenants may show as senders of texts. They can be people's own: encrypted, and found by the blind index.

create table sender_policies (                     -- no row: the defaults
    tenant_id   uuid primary key references tenants,
    proof       text not null default 'required' check (proof in ('required', 'listed')),
    max_numbers integer not null default 30 check (max_numbers between 0 and 100000),
    valid_days  integer not null default 365 check (valid_days between 1 and 3650),
    allow_050   boolean not null default false     -- where its carriers take a 050 as sender
);

create table sender_numbers (
    id            uuid primary key,
    tenant_id     uuid not null references tenants,
    number        bytea,                           -- AES-256-GCM; null: removed
    number_index  bytea check (octet_length(number_index) = 16),
    number_masked text not null,
    label         text not null default '' check (char_length(label) <= 100),
    status        text not null check (status in ('waiting', 'verified', 'failed', 'removed')),
    method        text check (method in ('call', 'sms', 'document', 'listed')),
    reason        text,                            -- why it failed, or where the proof is filed
    verified_at   timestamptz,
    expires_at    timestamptz,                     -- of the proof: effective at once, nothing waits for a sweeper
    code_hash     bytea check (octet_length(code_hash) = 32),
    code_expires_at timestamptz,
    code_tries    smallint not null default 0 check (code_tries >= 0),
    created_at    timestamptz not null,
    constraint sender_numbers_proof_of_verified check
        (status <> 'verified' or (method is not null and verified_at is not null and expires_at > verified_at)),
    constraint sender_numbers_failed_say_why check (status <> 'failed' or reason is not null),
    constraint sender_numbers_removed_are_erased check
        ((status = 'removed') = (number is null) and (number is null) = (number_index is null)),
    constraint sender_numbers_codes_end check ((code_hash is null) = (code_expires_at is null)),
    constraint sender_numbers_codes_of_registered check (code_hash is null or status <> 'removed')
);
create unique index sender_numbers_once on sender_numbers (tenant_id, number_index) where status <> 'removed';
create index sender_numbers_of_tenant on sender_numbers (tenant_id, id);

-- Codes sent by text, so that nobody's mobile is flooded, whichever tenant asks. Rows of past days are of no use.
create table sender_codes (
    number_index bytea not null check (octet_length(number_index) = 16),
    at           timestamptz not null
);
create index sender_codes_of_number on sender_codes (number_index, at);
