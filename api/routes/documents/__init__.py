"""Certificates of sender numbers."""
