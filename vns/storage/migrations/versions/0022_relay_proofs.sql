-- Proofs of relay numbers end, as those of sender numbers do: a year after they were filed. Nobody had said so when those
-- on file were filed, so none of them ends within the thirty days in which a tenant is reminded.

alter table relay_numbers add column proof_until timestamptz;
alter table relay_numbers add column reminded_of timestamptz;      -- the end that a reminder was given of
update relay_numbers set proof_until = greatest(created_at + interval '365 days', now() + interval '30 days');
alter table relay_numbers alter column proof_until set not null;
