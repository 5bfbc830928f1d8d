"""Channels to carriers, all behind one interface (`interface.py`). Knows nothing of safe numbers."""
