"""Signals and clips: where videos come from, which frames are looked at, and how stores of them are made.

Knows nothing of networks. Names are imported from their files (`datasets.sources`, `datasets.index`, ...), so that a
command pays only for what it uses.
"""
