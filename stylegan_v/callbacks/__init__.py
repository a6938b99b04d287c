"""What happens beside training: checkpoints, scores, progress, throughput, cost, samples, the end on Ctrl-C."""

from stylegan_v.callbacks.checkpointing import Checkpointing
from stylegan_v.callbacks.compilation import CompileNetworks
from stylegan_v.callbacks.cost import CostReport
from stylegan_v.callbacks.evaluation import Evaluation
from stylegan_v.callbacks.interrupts import GracefulStop
from stylegan_v.callbacks.progress import RunProgress
from stylegan_v.callbacks.recomputation import RecomputeActivations
from stylegan_v.callbacks.sample_images import SampleImages
from stylegan_v.callbacks.samples import SampleVideos
from stylegan_v.callbacks.throughput import Throughput

__all__ = [
    "Checkpointing",
    "CompileNetworks",
    "CostReport",
    "Evaluation",
    "GracefulStop",
    "RecomputeActivations",
    "RunProgress",
    "SampleImages",
    "SampleVideos",
    "Throughput",
]
