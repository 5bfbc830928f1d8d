-- Texts that the platform sends by itself or for a tenant, and what people said about getting any.

-- `held`: waits for its time; nobody hands it over before. `send_at` stays as it was asked for.
alter table messages add column send_at timestamptz;
alter table messages add column held boolean not null default false;
alter table messages add constraint messages_held_have_a_time check (not held or (send_at is not null and status = 'queued'));
create index messages_held on messages (send_at) where held;

-- The number from which a tenant's texts go out where the virtual number is no proven sender. Answers come back to it.
create table relay_numbers (
    tenant_id  uuid primary key references tenants,
    number     bigint not null unique,             -- key; a business line, never a person's
    proof      text not null,                      -- where the proof is filed
    created_at timestamptz not null
);

-- Which short number in a text from a relay number stands for which virtual number, for one recipient.
create table reply_tags (
    relay      bigint not null,                    -- key of the relay number
    party      bytea not null check (octet_length(party) = 16),
    tag        smallint not null check (tag between 1 and 9999),
    vn         bigint not null,
    binding_id uuid not null references bindings,
    used_at    timestamptz not null,
    primary key (relay, party, tag),
    unique (relay, party, vn, binding_id)
);
create index reply_tags_of_binding on reply_tags (binding_id);

-- Who does not want texts of a tenant any more.
create table opt_outs (
    tenant_id  uuid not null references tenants,
    party      bytea not null check (octet_length(party) = 16),
    binding_id uuid,                               -- through which they said so
    created_at timestamptz not null,
    primary key (tenant_id, party)
);
create index opt_outs_of_party on opt_outs (party);

-- What the platform has answered by itself: once a day to the same person about the same number.
create table auto_replies (
    vn    bigint not null,
    party bytea not null check (octet_length(party) = 16),
    day   date not null,                           -- in Korea
    primary key (vn, party, day)
);
create index auto_replies_by_day on auto_replies (day);

-- How many texts went out under a number on a day.
create table sender_days (
    sender bigint not null,                        -- key
    day    date not null,                          -- in Korea
    texts  integer not null check (texts > 0),
    primary key (sender, day)
) with (fillfactor = 70);
create index sender_days_by_day on sender_days (day);
