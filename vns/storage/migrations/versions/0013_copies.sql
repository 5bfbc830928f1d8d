-- Whether bridges may keep copies in Redis (vns.storage.revocation): one row. Closed, no copy is written, and those
-- that are left run out.
create table copies_state (
    only_row  boolean primary key default true check (only_row),
    closed_at timestamptz
);
insert into copies_state (closed_at) values ('2000-01-01 00:00+00');  -- until a bridge opens them

-- A call that was connected while PostgreSQL did not answer.
alter table calls add column from_copy boolean not null default false;
