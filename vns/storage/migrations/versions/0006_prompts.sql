-- Prompts of tenants, as telephone wav: 16 kB a second, a minute at most. Never changed, only made and deleted.
create table prompts (
    id          uuid primary key,
    tenant_id   uuid not null references tenants,
    name        text not null check (char_length(name) between 1 and 100),
    text        text,                              -- what was spoken; null: a recording
    audio       bytea not null check (octet_length(audio) between 45 and 960044),
    seconds     double precision not null check (seconds > 0 and seconds <= 60),
    created_at  timestamptz not null,
    unique (tenant_id, name)
);
