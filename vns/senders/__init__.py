"""The registry of sender numbers: nothing but a proven one is ever shown."""
