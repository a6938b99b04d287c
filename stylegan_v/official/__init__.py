"""Official StyleGAN-V: its released weights and its training settings, in our terms."""

from stylegan_v.official.settings import derive_settings, frame_sampler_config

__all__ = ["derive_settings", "frame_sampler_config"]
