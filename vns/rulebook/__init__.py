"""The rules of a binding or a pool: one typed document, merged field by field."""
