"""The hook that a tenant is asked by."""
