-- Each call and each text writes these tables, so they are vacuumed and analysed every minute of a busy hour. At
-- PostgreSQL's own pace (2 ms) that takes a core for a quarter of a second, and calls wait. At a tenth of the pace it
-- still clears 500 pages a second, ten times what 350 calls a second leave.
alter table calls set (autovacuum_vacuum_cost_delay = 20);
alter table journal set (autovacuum_vacuum_cost_delay = 20);
alter table messages set (autovacuum_vacuum_cost_delay = 20);
