"""What tests with recordings of the networks share: settings, networks built from them by each route, tolerances."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from einops import rearrange
from torch import Tensor, nn

from stylegan_v.checkpoints import build
from stylegan_v.networks import Discriminator, Generator
from stylegan_v.official import build_discriminator, build_generator
from stylegan_v.official.__main__ import main as official
from stylegan_v.official.conversion import network_settings
from stylegan_v.official.names import to_ours
from stylegan_v.official.networks import discriminator_node, generator_node
from stylegan_v.official.state_file import write_state
from stylegan_v.weights import Weights, read_weights
from tests.conformance.recordings import Recording, files

# A few times what float32 against float64 differs in the original, by kind; keys relative to their largest value.
TOLERANCE = {
    "g_out/ws": 1e-6,
    "g_out/w_avg": 5e-7,
    "g_out/motion/": 2e-6,
    "g_out/time/periods": 2e-6,
    "g_out/time/phases": 2e-6,
    "g_out/time/raw_pos_embs": 2e-6,
    "g_out/time/": 3e-4,
    "g_out/motion_v": 1e-4,
    "g_out/": 3e-5,
    "g_long_out/": 1.5e-3,
    "d_out/time/": 1e-4,
    "d_out/logits": 1e-4,
    "d_out/c_with_time": 1e-4,
    "d_out/": 4e-6,
    "d_out_fractional/": 1e-4,
    "loss_out/Dreg/image_gradient": 2e-5,
    "loss_out/Greg_path_length/ws_gradient": 2e-5,
    **{f"loss_out/{phase}/grad": 3e-3 for phase in ("Gmain", "Dmain", "Dreg", "Greg_path_length")},
    "loss_out/": 1e-4,
    "train_out/": 2e-4,
}
RECORDINGS = files("stylegan_v", "config_json")
# Networks built from the recorded tensors, or after these went out as a state file of the original, back in, and
# through a folder of ours.
ROUTES = ("tensors", "files")


class Fixture:
    """A recording, its settings, and freshly built networks."""

    def __init__(self, path: Path, route: str) -> None:
        self.data = Recording(path)
        self.config = self.data.json("config_json")
        self.num_frames = self.config["num_frames_per_video"]
        kwargs = {net: self.config["derived"][f"{net}_kwargs"] for net in ("G", "D")}
        tree = {"config": self.config, "sampling": self.config["sampling"], **kwargs}
        joined = network_settings(self.data.group("G"), self.data.group("D"), tree, {})
        self.settings = {name: setting.value for name, setting in joined.items()}
        self.sources = {name: setting.source for name, setting in joined.items()}
        self.weights = self.through_files() if route == "files" else None

    def generator(self) -> Generator:
        if self.weights is None:
            return build_generator(self.settings, self.data.group("G"))
        return self.built("generator")

    def discriminator(self) -> Discriminator:
        if self.weights is None:
            return build_discriminator(self.settings, self.data.group("D"))
        return self.built("discriminator")

    def built(self, name: str) -> nn.Module:
        """A network from the folder of ours."""
        network = build(self.weights.model["init_args"][name])
        network.load_state_dict(self.weights.networks[name])
        return network.eval()

    def through_files(self) -> Weights:
        states = {"generator": to_ours(self.data.group("G")), "discriminator": to_ours(self.data.group("D"))}
        nodes = {"generator": generator_node(self.settings), "discriminator": discriminator_node(self.settings)}
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder) / "state.safetensors"
            states["generator_ema"] = states["generator"]
            write_state(state, Weights(state, "model", states, {"init_args": nodes}, {}))
            official([str(state), f"{folder}/model"])
            return read_weights(f"{folder}/model")

    def clips(self, frames: Tensor) -> Tensor:
        return rearrange(frames, "(b t) c h w -> b t c h w", t=self.num_frames)


@lru_cache(maxsize=1)
def load(path: Path, route: str = "tensors") -> Fixture:
    return Fixture(path, route)


@contextmanager
def outputs(modules: dict[str, nn.Module]) -> Iterator[dict[str, object]]:
    """What each module returns while the context lasts."""
    seen: dict[str, object] = {}
    handles = [
        module.register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(name, out))
        for name, module in modules.items()
    ]
    yield seen
    for handle in handles:
        handle.remove()


def frames_of(clip: Tensor) -> Tensor:
    return rearrange(clip, "b t c h w -> (b t) c h w")


def statistics(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}/x_mean": x.mean(dim=(2, 3)),
        f"{name}/x_std": x.std(dim=(2, 3), unbiased=False),
        f"{name}/x_first_last": x[[0, -1]],
    }
