-- What rules need beside the documents: parties that are blocked, hooks of tenants, and what a call keeps for its end.

-- Who is not to call, or not to be called, through a pool or a binding. Read by every decision.
create table blocked_parties (
    id          uuid primary key default uuidv7(),
    tenant_id   uuid references tenants,           -- who keeps it; null: the operator, for a pool of its own
    pool_id     uuid references pools,
    binding_id  uuid references bindings,
    scope       uuid not null generated always as (coalesce(binding_id, pool_id)) stored,
    party       bytea not null check (octet_length(party) = 16),
    number      bytea not null,                    -- AES-256-GCM, so that it can be shown masked
    direction   text not null check (direction in ('from', 'to', 'both')),
    created_at  timestamptz not null,
    check (num_nonnulls(pool_id, binding_id) = 1),
    unique (scope, party)
);
create index blocked_parties_of_tenant on blocked_parties (tenant_id, id);
create index blocked_parties_of_binding on blocked_parties (binding_id, id) where binding_id is not null;

-- Where a tenant wants to be asked before one of its bindings connects anybody.
create table intercept_hooks (
    tenant_id   uuid primary key references tenants,
    url         text not null,
    secret      bytea not null,                    -- AES-256-GCM
    deadline_ms integer not null check (deadline_ms between 50 and 2000),
    on_failure  text not null check (on_failure in ('allow', 'refuse')),
    changed_at  timestamptz not null
);

alter table bindings
    add column last_caller_index bytea check (octet_length(last_caller_index) = 16),
    add constraint bindings_last_caller_indexed check ((last_caller is null) = (last_caller_index is null));

alter table calls
    drop constraint calls_direction_check,
    add constraint calls_direction_check check (direction in ('to_real', 'to_peer', 'to_fallback', 'none')),
    -- whether the owner is told by text if it misses the call; the caller's number while that may have to be shown
    add column missed_call_text boolean not null default false,
    add column caller bytea,                       -- AES-256-GCM
    add constraint calls_forget_callers check (caller is null or ended_at is null);

-- Also counts the calls on a number with a limit.
drop index calls_open;
create index calls_open on calls (vn, arrived_at) where ended_at is null;
