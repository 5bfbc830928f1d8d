"""Callers who use the platform for what it is not for: too many calls, guessed numbers, advertising by telephone."""
