-- Applications for an exemption (예외 적용): what a tenant tells of itself, or its registration certificate, and what an
-- operator has decided.

create table sender_exemption_applications (
    id             uuid primary key,
    tenant_id      uuid not null references tenants,
    route          text not null check (route in ('integration', 'carrier')),
    status         text not null check (status in ('draft', 'waiting', 'approved', 'refused', 'ended')),
    details        bytea,                          -- AES-256-GCM of JSON; of `integration` alone
    certificate_id uuid references sender_documents,  -- registration certificate; of `carrier` alone
    reason         text check (char_length(reason) between 1 and 500),
    decided_at     timestamptz,
    created_at     timestamptz not null,
    constraint sender_exemption_applications_ended_are_erased check
        (status <> 'ended' or num_nonnulls(details, certificate_id) = 0),
    constraint sender_exemption_applications_are_of_one_route check
        ((details is null or route = 'integration') and (certificate_id is null or route = 'carrier')),
    constraint sender_exemption_applications_are_complete_before_review check
        (status not in ('waiting', 'approved', 'refused') or num_nonnulls(details, certificate_id) = 1),
    constraint sender_exemption_applications_refused_say_why check (status <> 'refused' or reason is not null),
    constraint sender_exemption_applications_decisions_have_their_time check
        (status not in ('approved', 'refused') or decided_at is not null)
);
create unique index sender_exemption_applications_open on sender_exemption_applications (tenant_id)
    where status in ('draft', 'waiting', 'refused');
create unique index sender_exemption_applications_approved on sender_exemption_applications (tenant_id)
    where status = 'approved';
create index sender_exemption_applications_waiting on sender_exemption_applications (id) where status = 'waiting';

alter table sender_documents
    drop constraint sender_documents_of_one,
    drop constraint sender_documents_kind_check,
    drop constraint sender_documents_kind_of_owner,
    add column application_id uuid references sender_exemption_applications,
    add constraint sender_documents_kind_check check (kind in ('subscription', 'employment', 'attorney', 'registration')),
    add constraint sender_documents_of_one check (num_nonnulls(sender_id, manager_id, application_id) = 1),
    add constraint sender_documents_kind_of_owner check
        ((kind = 'subscription') = (sender_id is not null) and (kind = 'registration') = (application_id is not null));
create index sender_documents_of_application on sender_documents (application_id) where application_id is not null;

alter table sender_exemptions add column reminded_of timestamptz;  -- the end that a reminder was given of
