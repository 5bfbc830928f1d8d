"""Texts: from the carriers to the safe-number decision, into MSG_DATA, and back to the carriers."""
