"""A video GAN one of whose processes is killed in the middle of an update, for runs of several."""

from __future__ import annotations

import os
import signal

from stylegan_v.distributed import restarted
from stylegan_v.gan import VideoGAN

DIES_IN, DIES_AT = 1, 3  # rank, update


class DyingGAN(VideoGAN):
    """Its second rank is killed in update 3, before the gradients of the discriminator are exchanged; once."""

    def on_gradients(self, phase: str) -> None:
        if self.global_rank == DIES_IN and self.updates == DIES_AT and phase == "generator" and not restarted():
            os.kill(os.getpid(), signal.SIGKILL)
