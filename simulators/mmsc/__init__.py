"""An MMSC for the demo and for tests: a program of its own that speaks MM7 (TS 23.140) on a socket."""
