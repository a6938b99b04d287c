"""What training costs, counted before it happens: operations, bytes, memory, on tensors that have none."""

from stylegan_v.cost.counting import Counter, LiveTensors, StillMotion, Work, tensors_in, worked
from stylegan_v.cost.rehearsal import Cost, Phase, rehearse

__all__ = ["Cost", "Counter", "LiveTensors", "Phase", "StillMotion", "Work", "rehearse", "tensors_in", "worked"]
