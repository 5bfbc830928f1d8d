-- Certificates that prove sender numbers. Each is encrypted with a key of its own, which the key ring wraps: a rotation
-- touches the wrapped key alone.

create table sender_documents (
    id          uuid primary key,
    tenant_id   uuid not null references tenants,
    sender_id   uuid not null references sender_numbers,
    media_type  text not null check (media_type in ('application/pdf', 'image/jpeg', 'image/png')),
    size        integer not null check (size > 0),  -- bytes of the file itself
    wrapped_key bytea not null,
    content     bytea not null,                     -- AES-256-GCM in chunks
    created_at  timestamptz not null
);
alter table sender_documents alter column content set storage external;  -- ciphertext cannot be compressed
create index sender_documents_of_number on sender_documents (sender_id, id);
create index sender_numbers_waiting on sender_numbers (id) where status = 'waiting';
