"""Generators as files for other programs: the whole way from noise and times to frames, as a graph."""
