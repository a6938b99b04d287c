"""Generator and discriminator: plain modules, importable without Lightning."""

from stylegan_v.networks.conditioning import HypernetworkConditioning, ProjectionConditioning
from stylegan_v.networks.discriminator import Discriminator
from stylegan_v.networks.generator import Generator
from stylegan_v.networks.motion import LSTMMotion, MotionEncoder
from stylegan_v.networks.motion_interface import Motion, Motionless

__all__ = [
    "Discriminator",
    "Generator",
    "HypernetworkConditioning",
    "LSTMMotion",
    "Motion",
    "MotionEncoder",
    "Motionless",
    "ProjectionConditioning",
]
