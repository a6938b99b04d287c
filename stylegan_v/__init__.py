"""StyleGAN-V: videos as functions of continuous time (Skorokhodov et al. 2022), in plain PyTorch."""

import torchvision_guard as _torchvision_guard  # noqa: F401  (before anything that may import torchvision)
