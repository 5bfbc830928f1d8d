"""Recorded calls on the voice side: written by Asterisk, taken away and encrypted as soon as they end."""
