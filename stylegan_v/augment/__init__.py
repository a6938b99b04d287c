"""Adaptive discriminator augmentation of clips (Karras et al. 2020, "Training GANs with Limited Data", ADA)."""

from stylegan_v.augment.adaptive import AdaptiveProbability
from stylegan_v.augment.pipe import AugmentPipe
from stylegan_v.augment.settings import PRESETS, Settings

__all__ = ["PRESETS", "AdaptiveProbability", "AugmentPipe", "Settings"]
