-- When a release wanted the calls of the binding cut: the begin of one may be written only afterwards.

alter table bindings add column cut_calls_at timestamptz;
create index bindings_to_cut on bindings (cut_calls_at) where cut_calls_at is not null;

-- real_masked and peer_masked (0025) are not used any more. They stay for a while: processes of the version before this
-- one, which still run while the schema is being upgraded, name them in every allocation and every question.
