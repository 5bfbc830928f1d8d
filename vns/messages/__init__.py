"""Texts on their way through the platform and what became of them."""
