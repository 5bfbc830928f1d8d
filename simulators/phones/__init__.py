"""Phones behind a carrier's trunk: sipp speaks SIP for them, Python sends and counts their voice packets."""
