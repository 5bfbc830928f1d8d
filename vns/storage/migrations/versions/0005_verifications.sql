-- Calls that the platform makes to prove who answers a number. Number and code are erased when the call is over.
create table verification_calls (
    id            uuid primary key,
    tenant_id     uuid references tenants,         -- null: the operator's own
    number        bytea,                           -- AES-256-GCM
    number_index  bytea not null check (octet_length(number_index) = 16),
    number_masked text not null,
    code          bytea,                           -- AES-256-GCM
    caller_id     bigint not null,
    status        text not null default 'queued' check (status in ('queued', 'calling', 'completed', 'failed')),
    reason        text check (reason in ('busy', 'no_answer', 'unreachable', 'hung_up_early', 'expired')),
    spoken        smallint not null default 0 check (spoken between 0 and 2),
    attempts      smallint not null default 0 check (attempts between 0 and 2),
    claimed_by    text,
    claim_until   timestamptz,
    requested_at  timestamptz not null,
    expires_at    timestamptz not null,
    answered_at   timestamptz,
    ended_at      timestamptz,
    check ((status in ('completed', 'failed')) = (ended_at is not null)),
    check ((number is null) = (ended_at is not null) and (code is null) = (ended_at is not null)),
    check ((status = 'failed') = (reason is not null)),
    check ((status = 'completed') = (spoken > 0)),
    check ((status = 'calling') = (claim_until is not null))
);
-- Nobody is called twice at once, whoever asks.
create unique index verification_calls_one_at_a_time on verification_calls (number_index) where ended_at is null;
create index verification_calls_open on verification_calls (requested_at) where ended_at is null;
create index verification_calls_of_number on verification_calls (number_index, requested_at);
