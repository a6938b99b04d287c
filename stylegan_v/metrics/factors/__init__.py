"""Synthetic clips with what they show, and the training that teaches a small network to tell it.

`truth` turns the ground truth of a clip into targets, `clips` draws clips, `training` is the loop, `scores` what a
network reached on clips that it never saw. The network itself is `stylegan_v.metrics.detectors.factors`.
"""
