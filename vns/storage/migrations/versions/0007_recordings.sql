-- Recorded calls. The sound lies encrypted in a file; its key stands here, wrapped by the key ring, until it is erased.
create table recordings (
    id          uuid primary key,
    call_id     uuid not null unique,
    tenant_id   uuid references tenants,           -- null: the call was not known yet, see calls
    path        text not null,                     -- within the store
    size        bigint not null check (size > 44), -- bytes of the wav file
    seconds     double precision not null check (seconds > 0),
    wrapped_key bytea,                             -- AES-256-GCM
    key_version integer not null,
    created_at  timestamptz not null,
    expires_at  timestamptz not null,
    erased_at   timestamptz,
    check ((wrapped_key is null) = (erased_at is not null)),
    check (expires_at > created_at)
);
create index recordings_over on recordings (expires_at) where erased_at is null;
