-- Managers (담당자): whom a tenant has put in charge of its sender numbers. Once an operator has approved one, a code to the
-- manager's mobile proves all the numbers that were chosen.

create table sender_managers (
    id               uuid primary key,
    tenant_id        uuid not null references tenants,
    name             bytea,                        -- AES-256-GCM; null: ended
    mobile           bytea,                        -- AES-256-GCM; null: ended
    mobile_masked    text not null,
    status           text not null check (status in ('draft', 'waiting', 'approved', 'refused', 'ended')),
    reason           text check (char_length(reason) between 1 and 500),
    mobile_proven_at timestamptz,
    employment_id    uuid,                         -- certificate of employment (재직증명서)
    attorney_id      uuid,                         -- power of attorney (위임장)
    code_hash        bytea check (octet_length(code_hash) = 32),
    code_expires_at  timestamptz,
    code_tries       smallint not null default 0 check (code_tries >= 0),
    decided_at       timestamptz,
    created_at       timestamptz not null,
    constraint sender_managers_ended_are_erased check
        ((status = 'ended') = (mobile is null) and (mobile is null) = (name is null)),
    constraint sender_managers_are_complete_before_review check
        (status not in ('waiting', 'approved', 'refused')
         or (mobile_proven_at is not null and employment_id is not null and attorney_id is not null)),
    constraint sender_managers_refused_say_why check (status <> 'refused' or reason is not null),
    constraint sender_managers_decisions_have_their_time check
        (status not in ('approved', 'refused') or decided_at is not null),
    constraint sender_managers_codes_end check ((code_hash is null) = (code_expires_at is null))
);
create unique index sender_managers_one on sender_managers (tenant_id) where status <> 'ended';
create index sender_managers_waiting on sender_managers (id) where status = 'waiting';

alter table sender_documents
    alter column sender_id drop not null,
    add column manager_id uuid references sender_managers,
    add column kind text not null default 'subscription' check (kind in ('subscription', 'employment', 'attorney')),
    add constraint sender_documents_of_one check (num_nonnulls(sender_id, manager_id) = 1),
    add constraint sender_documents_kind_of_owner check ((kind = 'subscription') = (sender_id is not null));
create index sender_documents_of_manager on sender_documents (manager_id) where manager_id is not null;
alter table sender_managers
    add foreign key (employment_id) references sender_documents,
    add foreign key (attorney_id) references sender_documents;

-- Numbers that were chosen to be proven together, and the code that does it.
create table sender_selections (
    id         uuid primary key,
    tenant_id  uuid not null references tenants,
    manager_id uuid not null references sender_managers,
    sender_ids uuid[] not null check (cardinality(sender_ids) > 0),
    code_hash  bytea not null check (octet_length(code_hash) = 32),
    code_tries smallint not null default 0 check (code_tries >= 0),
    expires_at timestamptz not null
);
create index sender_selections_of_tenant on sender_selections (tenant_id);

alter table sender_numbers drop constraint sender_numbers_method_check;
alter table sender_numbers add constraint sender_numbers_method_check
    check (method in ('call', 'sms', 'document', 'listed', 'exempt', 'manager'));
