"""Recorded calls: encrypted as soon as they end, erased when their time is over, heard through signed links only."""
