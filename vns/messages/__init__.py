"""Texts: each that arrives is recorded once, decided on, and followed to its one end."""
