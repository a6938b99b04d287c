"""Fitting: one signal becomes one field, which is built for it."""

from fields.fitting.base import Fit
from fields.fitting.radiance import RadianceFitting
from fields.fitting.video import FieldFitting

__all__ = ["FieldFitting", "Fit", "RadianceFitting"]
