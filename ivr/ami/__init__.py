"""The manager interface: what became of calls comes in, hang-ups go out."""
