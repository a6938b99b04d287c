"""Fitted fields as videos: at any size, at any rate, and with what they never saw filled in."""
