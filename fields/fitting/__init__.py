"""Fitting: one signal becomes one field, which is built for it."""

from fields.fitting.base import Fit
from fields.fitting.video import FieldFitting

__all__ = ["FieldFitting", "Fit"]
