"""Fitted fields as single files that are as small as one likes: ``python -m fields.codec``."""
