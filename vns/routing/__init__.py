"""The decision: who is connected to whom when a virtual number is dialled or texted."""
