"""The agent: whoever inserted the row into MSG_DATA, it is sent, its result written back, and moved to the log."""
