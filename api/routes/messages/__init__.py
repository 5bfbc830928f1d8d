"""Texts and what became of them."""
