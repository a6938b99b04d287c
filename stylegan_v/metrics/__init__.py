"""Numbers about generated videos: one file per number and protocol."""
