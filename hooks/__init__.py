"""Asks the intercept hooks of tenants over HTTP: the one place where the platform calls somebody else's web server."""
