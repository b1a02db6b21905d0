"""Recordings on disk: what the flight recorder's ring held, with all that a replay needs to know of the line."""
