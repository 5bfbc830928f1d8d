-- The parties as records show them, for whoever writes such a record without the key: the begin of a call. Null in
-- bindings from before: their calls are begun by a statement more.

alter table bindings
    add column real_masked text,
    add column peer_masked text;
