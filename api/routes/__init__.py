"""One folder per feature: its routes and, beside them, the schemas of what goes in and out."""
