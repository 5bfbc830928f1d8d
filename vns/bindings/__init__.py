"""Bindings: allocation, life and end of a mapping between a virtual number and its parties."""
