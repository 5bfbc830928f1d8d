"""The Korean numbering plan as data, and the one canonical form of a number."""
