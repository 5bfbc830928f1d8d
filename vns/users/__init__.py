"""People who log in: their accounts, codes by text, sessions."""
