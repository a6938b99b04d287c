"""Heads of the generator that are functions of (x, y), made of the parts of `fields`."""

from stylegan_v.networks.decoders.conv_field import ConvField

__all__ = ["ConvField"]
