-- Four more modes, numbers that a customer hands out itself, and rules of pools and bindings.

alter table pools
    add column managed_by text not null default 'platform' check (managed_by in ('platform', 'customer')),
    add column rules jsonb,                        -- vns.routing's document; null: no rules of its own
    -- whoever hands numbers out by name owns them
    add constraint pools_of_customers_have_owners check (managed_by = 'platform' or owner_id is not null);

alter table bindings
    drop constraint bindings_mode_check,
    drop constraint bindings_check,                -- (mode = 'bidirectional') = (peer_index is not null)
    add constraint bindings_mode_check
        check (mode in ('one_way', 'bidirectional', 'per_side', 'extension', 'group', 'outbound')),
    add constraint bindings_peer_of_mode check ((mode in ('bidirectional', 'per_side')) = (peer_index is not null)),
    add column peer_vn bigint,                     -- per_side: what real_number dials to reach peer_number
    add constraint bindings_peer_vn_of_mode check ((mode = 'per_side') = (peer_vn is not null)),
    add constraint bindings_two_vns_check check (peer_vn <> vn),
    add column extension text check (extension ~ '^[0-9]{2,8}$'),
    add constraint bindings_extension_of_mode check ((mode = 'extension') = (extension is not null)),
    add column ring text check (ring in ('order', 'all')),
    add constraint bindings_ring_of_mode check ((mode = 'group') = (ring is not null)),
    add column rules jsonb,
    -- extension: whom the owner reaches by dialling the VN itself
    add column last_caller bytea,                  -- AES-256-GCM
    add column last_caller_at timestamptz,
    add constraint bindings_last_caller_of_mode
        check ((last_caller is null or mode = 'extension') and (last_caller is null) = (last_caller_at is null));

drop index bindings_one_live_per_exclusive_vn;
create unique index bindings_one_live_per_exclusive_vn on bindings (vn)
    where status = 'active' and mode in ('one_way', 'outbound');
create unique index bindings_one_live_per_extension on bindings (vn, extension)
    where status = 'active' and mode = 'extension';
-- A subscriber calls out with one number: which one is never a guess.
create unique index bindings_one_live_per_subscriber on bindings (real_index)
    where status = 'active' and mode = 'outbound';
create index bindings_by_peer_vn on bindings (peer_vn, id) where peer_vn is not null;

-- The team of a group, in ring order.
create table binding_members (
    binding_id  uuid not null references bindings deferrable initially deferred,
    position    smallint not null,
    number      bytea not null,                    -- AES-256-GCM
    party       bytea not null check (octet_length(party) = 16),
    primary key (binding_id, position) deferrable initially deferred,
    unique (binding_id, party)
);

-- A third kind of number: many bindings on it, told apart by the digits that a caller dials after it.
alter table numbers
    drop constraint numbers_kind_check,
    add constraint numbers_kind_check check (kind in ('exclusive', 'shared', 'extension'));
create index numbers_extension on numbers (pool_id, vn) where kind = 'extension' and hold is null;

-- Seats of extension numbers are their owners': one binding per owner and number, so that who calls back is known.
alter table seats
    drop constraint seats_kind_check,
    add constraint seats_kind_check check (kind in ('shared', 'extension'));

create table extensions (
    vn          bigint not null,
    extension   text not null check (extension ~ '^[0-9]{2,8}$'),
    kind        text not null default 'extension' check (kind = 'extension'),
    binding_id  uuid not null references bindings deferrable initially deferred,
    free_at     timestamptz not null,              -- end of quarantine
    primary key (vn, extension),
    foreign key (vn, kind) references numbers (vn, kind)
);
create index extensions_of_binding on extensions (binding_id);
