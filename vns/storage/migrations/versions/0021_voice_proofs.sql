-- Where the proof is filed that the numbers of a pool may be shown as callers, and until when it holds. What entitles a
-- pool to be shown on texts entitles it to a number as such, and was asked for calls out until now: it is taken over.
-- A pool without any gets none: nobody knows of a document. Calls through it go on, without a number shown.

alter table pools add column voice_proof text;
alter table pools add column voice_proof_until timestamptz;        -- 9999: it has no end. Effective at once
alter table pools add column voice_reminded_of timestamptz;        -- the end that a reminder was given of
alter table pools add constraint pools_voice_proof_has_an_end check ((voice_proof is null) = (voice_proof_until is null));

update pools set voice_proof = sms_sender_proof, voice_proof_until = '9999-01-01 00:00+00' where sms_sender_proof is not null;
