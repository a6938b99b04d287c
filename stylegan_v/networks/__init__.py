"""Generator and discriminator: plain modules, importable without Lightning."""

from stylegan_v.networks.conditioning import HypernetworkConditioning, ProjectionConditioning
from stylegan_v.networks.discriminator import Discriminator
from stylegan_v.networks.generator import Generator
from stylegan_v.networks.motion import LSTMMotion, MotionEncoder
from stylegan_v.networks.motion_interface import Motion, Motionless
from stylegan_v.networks.smooth_encoding import SmoothEncoding
from stylegan_v.networks.temporal_modulation import TemporalModulation
from stylegan_v.networks.time_encoding import AcyclicEncoding, TimeEncoding

__all__ = [
    "AcyclicEncoding",
    "Discriminator",
    "Generator",
    "HypernetworkConditioning",
    "LSTMMotion",
    "Motion",
    "MotionEncoder",
    "Motionless",
    "ProjectionConditioning",
    "SmoothEncoding",
    "TemporalModulation",
    "TimeEncoding",
]
