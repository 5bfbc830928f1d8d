"""The console: pages in Korean for those who use the platform with a browser."""
