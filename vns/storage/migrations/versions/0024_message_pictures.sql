-- Pictures of multimedia messages on their way, as they are to be sent; erased with the envelope of their message.

create table message_pictures (
    message_id uuid not null references messages (id) on delete cascade,
    position   smallint not null check (position between 1 and 3),
    content    bytea not null,                     -- encrypted
    primary key (message_id, position)
);
alter table message_pictures alter column content set storage external;  -- ciphertext: trying to compress it is in vain
