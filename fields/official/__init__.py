"""Published weights of other systems, as fields: builders from their settings and their tensors, by name."""

from fields.official.cam_networks import cam_image, cam_signal
from fields.official.ffnerv_networks import ffnerv
from fields.official.image_models import encoder, liif, metasr
from fields.official.radiance_fields import mipnerf, mipnerf_state, nerf, nerf_state, tnerf, tnerf_state
from fields.official.video_fields import ffn, nerv, nvp, nvp_name, nvp_state, siren

__all__ = [
    "cam_image",
    "cam_signal",
    "encoder",
    "ffn",
    "ffnerv",
    "liif",
    "metasr",
    "mipnerf",
    "mipnerf_state",
    "nerf",
    "nerf_state",
    "nerv",
    "nvp",
    "nvp_name",
    "nvp_state",
    "siren",
    "tnerf",
    "tnerf_state",
]
