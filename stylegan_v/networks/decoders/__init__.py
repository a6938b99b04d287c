"""Heads of the generator that are functions of (x, y), made of the parts of `fields`."""

from stylegan_v.networks.decoders.conv_field import ConvField
from stylegan_v.networks.decoders.nvp_field import NVPField
from stylegan_v.networks.decoders.point_field import PointField

__all__ = ["ConvField", "NVPField", "PointField"]
