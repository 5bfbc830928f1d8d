"""What callers hear in words of a tenant's own: recorded, or spoken from a text."""
