"""Feature networks of the metrics: what each is, where its weights come from, and how it is called.

`table` names them all; each file beside it makes one kind from a file of weights, or without one.
"""
