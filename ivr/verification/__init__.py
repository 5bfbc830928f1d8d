"""Verification calls on the voice side: made over the AMI, spoken by Asterisk's dialplan, told by its records."""
