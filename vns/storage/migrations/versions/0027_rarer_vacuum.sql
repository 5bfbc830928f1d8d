-- While these tables are young each of them grows by a tenth a minute in a busy hour, and PostgreSQL analyses it every
-- minute: a tenth of a second of a core at once, whatever the vacuum's pace, and calls wait for it. Below this many rows
-- a table is small enough for any plan; beyond, the shares of PostgreSQL's own (a tenth, a fifth) decide as ever.
alter table calls set (
    autovacuum_analyze_threshold = 50000, autovacuum_vacuum_threshold = 50000, autovacuum_vacuum_insert_threshold = 50000
);
alter table journal set (
    autovacuum_analyze_threshold = 50000, autovacuum_vacuum_threshold = 50000, autovacuum_vacuum_insert_threshold = 50000
);
alter table messages set (
    autovacuum_analyze_threshold = 50000, autovacuum_vacuum_threshold = 50000, autovacuum_vacuum_insert_threshold = 50000
);
