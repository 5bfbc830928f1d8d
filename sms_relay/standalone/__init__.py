"""The agent as a program of its own, set up by the npro.conf that customers have."""
