"""Programs of their own that speak the real protocols, for the demo and for tests: an SMSC, phones."""
