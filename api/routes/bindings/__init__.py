"""Bindings: allocated, read, changed, released."""
