"""Official StyleGAN-V: its released weights and its training settings, in our terms."""

from stylegan_v.official.inference import tensor_settings
from stylegan_v.official.names import discriminator_names, generator_names, official_names
from stylegan_v.official.networks import build_discriminator, build_generator
from stylegan_v.official.settings import derive_settings, frame_sampler_config
from stylegan_v.official.snapshot import Snapshot, read_snapshot

__all__ = [
    "Snapshot",
    "build_discriminator",
    "build_generator",
    "derive_settings",
    "discriminator_names",
    "frame_sampler_config",
    "generator_names",
    "official_names",
    "read_snapshot",
    "tensor_settings",
]
