"""Calls: one record for every attempt, from the question to the hang-up."""
