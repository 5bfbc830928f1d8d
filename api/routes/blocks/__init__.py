"""Parties that are blocked on a binding or a pool."""
