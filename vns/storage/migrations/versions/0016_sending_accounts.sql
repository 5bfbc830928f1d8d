-- Sending accounts (SP IDs) under an administrator, whose sender numbers each of them may show; and proofs that are soon over.

create table sending_accounts (
    tenant_id        uuid primary key references tenants,   -- the account: under one administrator at most
    administrator_id uuid not null references tenants,
    created_at       timestamptz not null,
    constraint sending_accounts_are_not_their_own check (tenant_id <> administrator_id)
);
create index sending_accounts_of_administrator on sending_accounts (administrator_id, tenant_id);

alter table sender_numbers add column reminded_of timestamptz;  -- the end of the proof that a reminder was given of
create index sender_numbers_by_end on sender_numbers (expires_at) where status = 'verified';
