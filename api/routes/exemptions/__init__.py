"""A tenant's application for an exemption, and what became of it."""
