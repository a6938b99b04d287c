"""The same training twice in each of two processes: gradients exchanged after the backward passes, and during them.

python -m tests.stylegan_v.overlapping_gan KIND FOLDER      both ways, as each rank found them
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import torch

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from datasets.view_sampling import ViewLaw
from stylegan_v import gan as gan_module
from stylegan_v.distributed import Exchange
from stylegan_v.multi_scale import MultiScale
from stylegan_v.networks import Discriminator, Generator, HypernetworkConditioning
from stylegan_v.networks.decoders import ConvField
from tests.stylegan_v import tiny_gan
from tests.stylegan_v.tiny_gan import RecordingGAN, StopAfter

BUCKET_BYTES = 2048  # of networks of some ten thousand parameters


class CountedExchange(Exchange):
    """In small buckets; notes how many went early, and how many there were, step by step."""

    counts: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, parameters: list[torch.Tensor]) -> None:
        super().__init__(parameters, bucket_bytes=BUCKET_BYTES)

    def finish(self, others: list[torch.Tensor]) -> None:
        """As it is."""
        self.counts.append((self.sent_early, len(self.buckets)))
        super().finish(others)


def plain(overlapped: bool) -> tuple[RecordingGAN, Any]:
    """All phases, augmentation, labels, two micro-batches, frozen layers."""
    clips = tiny_gan.data(8, labelled=True)
    clips.setup("fit")
    settings = {"augmented": True, "pl_weight": 2.0, "r1_every": 1, "num_micro_batches": 2, "freeze_d": 2}
    return tiny_gan.gan(clips.c_dim, made=RecordingGAN, overlap_exchange=overlapped, **settings), clips


def multi_scale(overlapped: bool) -> tuple[RecordingGAN, Any]:
    """Views of drawn scales, of which each rank has others, and the losses between them."""
    torch.manual_seed(0)
    motion = tiny_gan.generator().synthesis.motion
    sizes = {"z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8, "conv_clamp": None}
    generator = Generator(16, motion=motion, decoder=ConvField, **sizes)
    with torch.no_grad():
        for parameter in generator.decoder.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    conditioning = HypernetworkConditioning(num_frames=3, dim=8, max_num_frames=tiny_gan.HORIZON, views=True)
    discriminator = Discriminator(**tiny_gan.discriminator_settings() | {"conditioning": conditioning})
    settings = {"r1_every": 1, "multi_scale": MultiScale(), "overlap_exchange": overlapped}
    clips = tiny_gan.data(8, native_scales=[1, 2, 3], views=ViewLaw((0.6, 2.0), native_share=0.25))
    return RecordingGAN(generator, discriminator, **settings), clips


KINDS = {"plain": plain, "multi_scale": multi_scale}


def run(kind: str, folder: Path, overlapped: bool) -> dict[str, Any]:
    """Gradients and state of two updates, and what went early."""
    model, clips = KINDS[kind](overlapped)
    CountedExchange.counts = []
    tiny_gan.trainer(folder, StopAfter(2), devices=2, strategy="auto").fit(model, clips)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    counts = dict(zip([phase for _, phase in model.phases], CountedExchange.counts, strict=overlapped))
    return {"rank": model.global_rank, "gradients": model.gradients, "state": state, "counts": counts}


if __name__ == "__main__":
    gan_module.Exchange = CountedExchange
    kind, out = sys.argv[1], Path(sys.argv[2])
    found = {way: run(kind, out, way == "overlapped") for way in ("after", "overlapped")}
    torch.save(found, out / f"rank{found['after']['rank']}.pt")
