"""Asterisk's generated configuration and how to run it."""
