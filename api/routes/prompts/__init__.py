"""Prompts of a tenant's own."""
