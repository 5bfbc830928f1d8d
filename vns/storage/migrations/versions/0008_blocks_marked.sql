-- Whether a pool or binding ever had a blocked party: the decision reads it with the row, and looks for blocks only then.
alter table pools add column has_blocks boolean not null default false;
alter table bindings add column has_blocks boolean not null default false;

create function mark_blocks() returns trigger language plpgsql as $$
begin
    update pools set has_blocks = true where id = new.pool_id and not has_blocks;
    update bindings set has_blocks = true where id = new.binding_id and not has_blocks;
    return new;
end
$$;
create trigger blocked_parties_mark after insert on blocked_parties for each row execute function mark_blocks();

update pools p set has_blocks = true where exists (select from blocked_parties x where x.pool_id = p.id);
update bindings b set has_blocks = true where b.id in (select x.binding_id from blocked_parties x);
