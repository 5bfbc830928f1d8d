"""A tenant's registry of sender numbers."""
