"""Verification calls: the platform calls a number and speaks a code, so that whoever names it proves to answer it."""
