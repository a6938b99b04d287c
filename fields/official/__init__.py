"""Published weights of other systems, as fields: builders from their settings and their tensors, by name."""

from fields.official.image_models import encoder, liif, metasr

__all__ = ["encoder", "liif", "metasr"]
