"""Published weights of other systems, as fields: builders from their settings and their tensors, by name."""

from fields.official.ffnerv_networks import ffnerv
from fields.official.image_models import encoder, liif, metasr
from fields.official.video_fields import ffn, nerv, nvp, nvp_name, nvp_state, siren

__all__ = ["encoder", "ffn", "ffnerv", "liif", "metasr", "nerv", "nvp", "nvp_name", "nvp_state", "siren"]
