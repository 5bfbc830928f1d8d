-- What the console reads page by page without counting or sorting everything.

-- How many numbers of a pool were in which state, counted every few minutes by the worker.
create table pool_samples (
    pool_id     uuid not null references pools,
    at          timestamptz not null,
    total       bigint not null,
    free        bigint not null,
    live        bigint not null,
    quarantined bigint not null,
    locked      bigint not null,
    primary key (pool_id, at)
);
create index pool_samples_by_age on pool_samples (at);

-- What people and keys did, apart from what calls, texts and allocations leave in the journal by the thousand.
create index journal_acts on journal (txid, id)
    where event !~ '^(binding\.(created|released|expired|consumed)|call\.|message\.)';
create index journal_acts_of_tenant on journal (tenant_id, txid, id)
    where event !~ '^(binding\.(created|released|expired|consumed)|call\.|message\.)';

-- Lists by status; live ones have an index of their own.
create index bindings_ended_of_tenant on bindings (tenant_id, status, id) where status <> 'active';
