"""What callers hear, in Korean."""
