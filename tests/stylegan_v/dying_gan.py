"""A video GAN one of whose processes is killed in the middle of an update, for runs of several."""

from __future__ import annotations

import os
import signal
from typing import Any

from stylegan_v.gan import VideoGAN

DIES_IN, DIES_AT = 1, 3  # rank, update


class DyingGAN(VideoGAN):
    """Its second rank is killed in update 3, before the gradients of the discriminator are exchanged.

    Not so where it goes on from a checkpoint.
    """

    resumed = False

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.resumed = True

    def on_gradients(self, phase: str) -> None:
        if self.global_rank == DIES_IN and self.updates == DIES_AT and phase == "generator" and not self.resumed:
            os.kill(os.getpid(), signal.SIGKILL)
