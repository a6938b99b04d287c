"""Networks as compiled graphs in training."""

from __future__ import annotations

from pytorch_lightning import Callback, LightningModule, Trainer

from errors import InputError
from stylegan_v.compiling import Backend, Compilation, Mode, compile_generator, compile_method
from stylegan_v.networks import Discriminator, Generator


class CompileNetworks(Callback):
    """Trains a video GAN with generator and discriminator compiled (torch.compile); checkpoints stay as they are.

    The first update takes minutes then. R1 and path length differentiate twice, which compiled graphs cannot: they run
    as without this. So do the motion encoder, whose noise is of another length in each update, the decoder and
    augmentation. On a CPU, inductor needs a C++ compiler.

    Args:
        generator: Whether the blocks of the generator are compiled.
        discriminator: Whether the discriminator is.
        backend: What makes kernels of graphs: "inductor"; "aot_eager" and "eager" are for tests.
        mode: Of inductor: "default"; "reduce-overhead", which replays CUDA graphs; or "max-autotune-no-cudagraphs".
        dynamic: Whether graphs are made for all sizes at once; None: where sizes turn out to change.
    """

    def __init__(
        self,
        generator: bool = True,
        discriminator: bool = True,
        backend: Backend = "inductor",
        mode: Mode = "default",
        dynamic: bool | None = None,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.compilation = Compilation(backend, mode, dynamic)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        networks = [getattr(pl_module, name, None) for name in ("generator", "discriminator")]
        if not (isinstance(networks[0], Generator) and isinstance(networks[1], Discriminator)):
            raise InputError(f"CompileNetworks: is for video GANs, model is {type(pl_module).__name__}: leave it out")
        self.compilation.check(trainer.strategy.root_device)
        if self.generator:
            compile_generator(networks[0], self.compilation)
        if self.discriminator:
            compile_method(networks[1], "forward", self.compilation)
        pl_module.keeps_gradients = self.compilation.replays
