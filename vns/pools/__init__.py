"""Ranges of virtual numbers and which of them are free."""
