"""Radiance fields: colour and density of every point of space, seen by integrating along rays.

Small on purpose: there are no occupancy grids, no contraction of unbounded scenes, no normalised device coordinates and
no tri-planes.
"""
