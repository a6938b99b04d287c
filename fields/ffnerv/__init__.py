"""FFNeRV (Lee et al., ACM MM 2023), and with coordinate-aware modulation (CAM, Lee et al., ICLR 2024)."""

from fields.ffnerv.field import FFNeRV, FrameParts
from fields.ffnerv.network import FFNeRVNetwork, Heads

__all__ = ["FFNeRV", "FFNeRVNetwork", "FrameParts", "Heads"]
