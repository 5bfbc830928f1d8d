"""An SMSC for the demo and for tests: a program of its own that speaks SMPP 3.4 on a socket."""
