"""Pools of virtual numbers."""
