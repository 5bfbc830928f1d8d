"""The background worker: closes what has expired, seals the audit chain, clears what may go."""
