"""Generators from files: the same frames by every way, without a copy; what does not fit is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

import stylegan_v
from errors import InputError
from stylegan_v import pretrained
from stylegan_v.checkpoints import build, write_checkpoint
from stylegan_v.networks import Generator
from stylegan_v.pretrained import from_pretrained, load_generator, read_model
from stylegan_v.rendering import draw_latents, render_float
from stylegan_v.weights import write_weights

ROOT = Path(__file__).resolve().parents[2]
MOTION = {
    "class_path": "stylegan_v.networks.MotionEncoder",
    "init_args": {
        "z_dim": 6, "v_dim": 6, "num_frequencies": 4, "distance": 4, "kernel_size": 3, "max_num_frames": 16
    },
}  # fmt: skip
LSTM = {"class_path": "stylegan_v.networks.LSTMMotion", "init_args": {"z_dim": 6, "v_dim": 6, "max_num_frames": 16}}


def node(motion: Any = MOTION, **settings: Any) -> dict[str, Any]:
    """The config node of a small generator."""
    sizes = {"resolution": [8, 8], "z_dim": 5, "w_dim": 6, "channel_base": 64, "channel_max": 8, "motion": motion}
    return {"class_path": "stylegan_v.networks.Generator", "init_args": sizes | settings}


def config(generator: Any) -> dict[str, Any]:
    return {"model": {"class_path": "stylegan_v.gan.VideoGAN", "init_args": {"generator": generator}}}


def trained(described: dict[str, Any]) -> Generator:
    """A generator none of whose tensors is as it was made."""
    generator = build(described).eval().requires_grad_(False)
    for tensor in generator.state_dict().values():
        tensor += 0.1 * torch.randn_like(tensor)
    return generator


def networks(generator: nn.Module, *names: str) -> dict[str, dict[str, torch.Tensor]]:
    """The averaged generator, and zeros for the other networks asked for."""
    state = generator.state_dict()
    others = {name: {key: torch.zeros_like(value) for key, value in state.items()} for name in names}
    return {"generator_ema": state, **others}


def write(form: str, folder: Path, generator: Generator, described: Any) -> Path:
    """A generator in one of the forms that files have; gives back the folder or file to read."""
    folder.mkdir(exist_ok=True)
    text = yaml.safe_dump(config(described))
    if form == "checkpoint":
        state = {f"{n}.{k}": v for n, s in networks(generator, "generator").items() for k, v in s.items()}
        write_checkpoint({"state_dict": state, "config": text}, folder / "last.ckpt")
        return folder
    names = ("generator", "discriminator") if form == "model" else ()
    (folder / "config.yaml").write_text(text)
    path = folder / f"{form}.safetensors"
    write_weights(path, networks(generator, *names), {"fps": 25.0})
    return path if form == "kept" else folder


FORMS = ["checkpoint", "model", "generator", "kept"]


def frames(generator: Generator) -> torch.Tensor:
    latents = draw_latents(generator, 0, [0, 1])
    return torch.cat(list(render_float(generator, latents, torch.arange(6, dtype=torch.float64))), dim=1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "described",
    [
        node(),
        node(LSTM, time_conditioning="concat_w"),
        node(None, noise_inputs=True, conv_clamp=None),
        node({**MOTION, "init_args": MOTION["init_args"] | {"c_dim": 3}}, c_dim=3),
        node({"class_path": "stylegan_v.networks.Motionless"}),
    ],
    ids=["encoder", "lstm", "noise", "labels", "images"],
)
def test_the_generator_draws_the_same_frames_by_every_way(tmp_path: Path, form: str, described: dict[str, Any]) -> None:
    generator = trained(described)
    path = write(form, tmp_path / "a", generator, described)
    loaded = from_pretrained(path)
    assert torch.equal(frames(loaded), frames(generator))
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not any(tensor.is_meta for tensor in (*loaded.parameters(), *loaded.buffers()))


@pytest.mark.parametrize("form", ["checkpoint", "model"])
def test_the_weights_of_training_can_be_asked_for(tmp_path: Path, form: str) -> None:
    path = write(form, tmp_path / "a", trained(node()), node())
    assert not any(tensor.any() for tensor in load_generator(path, ema=False).state_dict().values())


def test_a_loaded_generator_can_be_trained_and_moved(tmp_path: Path) -> None:
    loaded = load_generator(write("generator", tmp_path / "a", trained(node()), node())).requires_grad_(True).train()
    optimizer = torch.optim.SGD(loaded.parameters(), lr=1.0)
    before = loaded.double().mapping.layers[0].weight.clone()
    loaded.float().mapping(torch.randn(2, 5)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(loaded.mapping.layers[0].weight, before)


def test_what_is_read_is_not_copied(tmp_path: Path) -> None:
    weights = read_model(write("model", tmp_path / "a", trained(node()), node()), ["generator_ema"])
    loaded = pretrained.make_generator(weights)
    for name, tensor in loaded.state_dict().items():
        assert tensor.data_ptr() == weights.networks["generator_ema"][name].data_ptr()


@pytest.mark.parametrize("form", FORMS)
def test_another_architecture_is_named_by_its_first_tensor(tmp_path: Path, form: str) -> None:
    path = write(form, tmp_path / "a", trained(node()), node(w_dim=7))
    with pytest.raises(InputError, match=r"a checkpoint of another architecture: \S+ is \[.*6.*\] there and \[.*7"):
        load_generator(path)


def test_networks_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = write("generator", tmp_path / "a", trained(node()), node())
    with pytest.raises(InputError, match=r"generator\.safetensors: holds no generator, only other networks"):
        load_generator(path, ema=False)
    with pytest.raises(InputError, match="holds no generator, only generator_ema"):
        pretrained.make_generator(read_model(path), "generator")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64, torch.complex64])
def test_numbers_of_another_kind_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = write("generator", tmp_path / "a", trained(node()), node())
    state = {f"generator_ema.{name}": t.to(dtype) for name, t in trained(node()).state_dict().items()}
    save_file(state, folder / "generator.safetensors", {"format": "stylegan_v"})
    with pytest.raises(InputError, match=rf"generator\.safetensors: \S+ is {dtype} there and torch\.float32 here"):
        load_generator(folder)


@pytest.mark.parametrize(
    "described",
    [
        None,
        "stylegan_v.networks.Generator",
        {"class_path": "os.system", "init_args": {"command": "touch executed"}},
        {"class_path": "torch.nn.Linear", "init_args": {"in_features": 1, "out_features": 1}},
        {"class_path": "stylegan_v.checkpoints.build", "init_args": {"node": 1}},
        {"class_path": "stylegan_v.networks.MotionEncoder"},
        {"class_path": "stylegan_v.networks.Gone"},
        {"class_path": "stylegan_v.gan.VideoGAN"},
        node({"class_path": "subprocess.Popen", "init_args": {"args": ["touch", "executed"]}}),
        node({"class_path": "torch.load", "init_args": {"f": "x"}}),
        node(resolution={"class_path": "builtins.eval", "init_args": {"source": "1"}}),
        node(resolution=-8),
        node(z_dim=2**70),
        node(num_mapping_layers=10**10),
        node(surprise=1),
    ],
)
@pytest.mark.parametrize("form", ["checkpoint", "generator"])
def test_a_config_that_names_anything_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, described: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write(form, tmp_path / "a", trained(node()), described)
    with pytest.raises(InputError) as caught:
        load_generator(folder)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


def test_the_package_gives_the_generator(tmp_path: Path) -> None:
    generator = trained(node())
    loaded = stylegan_v.from_pretrained(str(write("generator", tmp_path / "a", generator, node())))
    assert torch.equal(frames(loaded), frames(generator))
    with pytest.raises(AttributeError, match="no attribute 'from_pretraned'"):
        _ = stylegan_v.from_pretraned  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["./user/name", "/gone/name", "name", "a/b/c", "user/name.ckpt", "user/model.safetensors"]
)
def test_what_is_no_name_on_the_hub_is_a_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "download", lambda *args, **options: pytest.fail("asked the hub"))
    with pytest.raises(InputError, match="no such file or folder"):
        from_pretrained(name)


def test_a_path_comes_before_a_name_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "download", lambda *args, **options: pytest.fail("asked the hub"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "user").mkdir()
    write("generator", tmp_path / "user" / "name", trained(node()), node())
    assert from_pretrained("user/name").resolution == (8, 8)


def test_a_name_on_the_hub_is_downloaded_with_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write("generator", tmp_path / "cache", trained(node()), node())
    asked = []
    monkeypatch.setattr(pretrained, "download", lambda *args, **options: asked.append((args, options)) or folder)
    assert from_pretrained("user/name", revision="v1", cache_dir="c", local_files_only=True).resolution == (8, 8)
    options = {"revision": "v1", "cache_dir": "c", "local_files_only": True, "token": None}
    assert asked == [(("user/name",), options)]


def test_a_local_generator_is_loaded_without_the_hub_and_without_lightning(tmp_path: Path) -> None:
    folder = write("generator", tmp_path / "a", trained(node()), node())
    code = (
        "import sys, stylegan_v\n"
        f"print(stylegan_v.from_pretrained({str(folder)!r}).resolution)\n"
        "unneeded = {'huggingface_hub', 'httpx', 'httpx2', 'requests', 'pytorch_lightning', 'datasets'}\n"
        "sys.exit(', '.join(unneeded & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("(8, 8)\n", "\n")
