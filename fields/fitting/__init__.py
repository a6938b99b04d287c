"""Fitting: one signal becomes one field, which is built for it."""

from fields.fitting.base import Fit
from fields.fitting.ffnerv import FFNeRVFitting
from fields.fitting.points import PointFitting
from fields.fitting.radiance import RadianceFitting
from fields.fitting.rate import RateFitting
from fields.fitting.video import FieldFitting

__all__ = ["FFNeRVFitting", "FieldFitting", "Fit", "PointFitting", "RadianceFitting", "RateFitting"]
