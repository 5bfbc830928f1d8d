"""A tenant's manager, whose mobile proves numbers together."""
