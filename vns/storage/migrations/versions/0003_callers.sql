-- Callers who are flagged, stopped or trusted, by blind index. The decision reads it for every call and text.
create table caller_flags (
    party       bytea primary key check (octet_length(party) = 16),
    masked      text not null,
    reason      text not null check (reason in ('scanning', 'reach', 'operator')),
    status      text not null check (status in ('flagged', 'stopped', 'trusted')),
    counted     integer not null check (counted >= 0),
    flagged_at  timestamptz not null,
    until       timestamptz not null
);
create index caller_flags_until on caller_flags (until);
