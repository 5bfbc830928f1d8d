"""Ciphers, key versions and the blind index. Pure: bytes in, bytes out."""
