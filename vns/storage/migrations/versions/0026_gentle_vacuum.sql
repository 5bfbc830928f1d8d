-- Each call writes the first two of these tables and each text the third, so in a busy hour they are vacuumed every
-- minute. At PostgreSQL's own pace (2 ms) that takes a core for a quarter of a second, and calls wait. At a tenth of it,
-- with the cost limit and the prices of PostgreSQL 18, up to 500 pages a second are still cleared.
alter table calls set (autovacuum_vacuum_cost_delay = 20);
alter table journal set (autovacuum_vacuum_cost_delay = 20);
alter table messages set (autovacuum_vacuum_cost_delay = 20);
