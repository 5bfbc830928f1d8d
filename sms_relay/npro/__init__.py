"""The tables of an NPro-style gateway exactly as a customer sees them, and what their codes mean."""
