-- Whether a call's end was found afterwards (in Asterisk's records, or by its being gone) and not told as it happened.
alter table calls add column reconciled boolean not null default false;
