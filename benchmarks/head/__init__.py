"""Parts of benchmarks/field_head.py: the clips that are compared, what is measured of them, and the pictures."""
