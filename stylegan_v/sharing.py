"""Generators to give away: a folder with weights, config and a card, on disk or on the model hub.

    stylegan_v.PretrainedGenerator.from_pretrained("runs/demo").push_to_hub("user/name", license="cc-by-4.0")

Importing this file loads the hub's package.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub import ModelCard, ModelCardData, ModelHubMixin

from errors import InputError
from stylegan_v.checkpoints import LAST, build, replacing
from stylegan_v.hub import clear_hub_errors
from stylegan_v.networks import Generator
from stylegan_v.pretrained import empty_generator, locate, read_model, take_weights
from stylegan_v.weights import CONFIG, GENERATOR, KNOWN_FACTS, MODEL, write_weights

CARD = "README.md"
_MODEL_CLASS = "stylegan_v.gan.VideoGAN"
_DEFAULT_FPS = 25


class PretrainedGenerator(
    Generator, ModelHubMixin, library_name="stylegan-v-fields", tags=["gan", "stylegan-v", "video-generation"]
):
    """A trained generator that knows how it is built, and so can be saved and sent to the model hub.

    Made by `from_pretrained`. What it leaves in a folder or a repository: generator.safetensors, config.yaml with what
    builds the generator and nothing else, and README.md, a card.

    Args:
        node: ``{class_path, init_args}`` of a `Generator`, as a config has it.
        facts: What is known of its training: ``updates``, ``num_clips``, ``num_frames``, ``fps``, ``augment_p``.
    """

    def __init__(self, node: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        super().__init__(**build(dict(node.get("init_args") or {})))
        self._hub_mixin_config = None  # the mixin would write its own config.json
        self.node = dict(node)
        self.facts = {name: facts[name] for name in KNOWN_FACTS if name in facts}

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        token: str | bool | None = None,
    ) -> PretrainedGenerator:
        """The averaged generator of anything that `pretrained.from_pretrained` takes, ready to sample.

        Args:
            pretrained_model_name_or_path: A path, or ``user/name`` on the hub where there is no such path.
            revision: Of a repository on the hub: a branch, tag or commit; None: the newest.
            cache_dir: Where downloads are kept; None: the hub's own choice.
            local_files_only: Whether to take what was downloaded before, without asking the hub.
            force_download: Whether to fetch the files again.
            token: Of a private repository; None: that of ``hf auth login``.

        Raises:
            InputError: There are no weights, or not those of a generator that this version can build.
        """
        where = {"revision": revision, "cache_dir": cache_dir, "local_files_only": local_files_only}
        path = locate(pretrained_model_name_or_path, **where, force_download=force_download, token=token)
        weights = read_model(path, ["generator_ema"])
        if type(empty_generator(weights)) is not Generator:
            raise InputError(f"{weights.path}: its generator is of a class of its own: only a Generator can be shared")
        with torch.device("meta"):
            generator = cls(weights.model["init_args"]["generator"], weights.facts)
        return take_weights(generator, weights)

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        *,
        license: str | None = None,
        model_card_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> str | None:
        """Leaves the three files in a folder, which is made; a card that is there already stays as it is.

        Args:
            save_directory: The folder.
            license: Under which the weights may be used, as the hub writes it ("cc-by-4.0"); None leaves it open.
            model_card_kwargs: Arguments of `generate_model_card`.
            **options: Of the mixin: ``push_to_hub``, ``repo_id``.

        Returns:
            The address of the commit, with ``push_to_hub``.

        Raises:
            InputError: The folder is that of a run or of networks to train on.
        """
        folder = Path(save_directory).expanduser()
        for name in (LAST, MODEL):
            if (folder / name).exists():
                raise InputError(f"{folder}: holds {name}, whose config must stay: choose another folder")
        card = {"license": license, "name": folder.name, **(model_card_kwargs or {})}
        return super().save_pretrained(folder, model_card_kwargs=card, **options)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        license: str | None = None,
        model_card_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> str:
        """Sends the three files to a repository of the hub, which is made, in one commit.

        Args:
            repo_id: ``user/name``.
            license: Under which the weights may be used, as the hub writes it ("cc-by-4.0"); None leaves it open.
            model_card_kwargs: Arguments of `generate_model_card`.
            **options: Of the mixin: ``private``, ``token``, ``branch``, ``create_pr``, ``commit_message``.

        Returns:
            The address of the commit.

        Raises:
            InputError: The hub does not accept it, or cannot be reached.
        """
        card = {"license": license, "name": repo_id, **(model_card_kwargs or {})}
        with clear_hub_errors(repo_id):
            return super().push_to_hub(repo_id, model_card_kwargs=card, **options)

    def generate_model_card(self, *, name: str = "a generator", license: str | None = None) -> ModelCard:
        """The card: what the generator is, what it was trained on for how long, how to sample from it.

        Args:
            name: Of the model.
            license: Under which the weights may be used; None leaves the field out.
        """
        known = self._hub_mixin_info.model_card_data
        data = ModelCardData(license=license, library_name=known.library_name, tags=known.tags)
        rows = "\n".join(f"| {what} | {value} |" for what, value in self._described().items())
        fps = f"{self.facts.get('fps', _DEFAULT_FPS):g}"
        text = _CARD.format(name=name, rows=rows, fps=fps)
        return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}")

    def _described(self) -> dict[str, str]:
        """The rows of the card's table; what is not known has none."""
        num_parameters = sum(parameter.numel() for parameter in self.parameters())
        facts = {name: f"{value:,}".replace(",", " ") for name, value in self.facts.items()}
        rows = {
            "frames": " x ".join(str(side) for side in self.resolution) + " pixels (height x width)",
            "parameters": f"{num_parameters:,}".replace(",", " "),
            "labels": str(self.c_dim) if self.c_dim else "none",
            "frames per second of its data": f"{self.facts['fps']:g}" if "fps" in facts else "not known",
        }
        seen = {"updates": "updates", "num_clips": "real clips shown", "num_frames": "real frames shown"}
        return rows | {what: facts[name] for name, what in seen.items() if name in facts}

    def _save_pretrained(self, save_directory: Path) -> None:
        write_weights(save_directory / GENERATOR, {"generator_ema": self.state_dict()}, self.facts)
        config = {"model": {"class_path": _MODEL_CLASS, "init_args": {"generator": self.node}}}
        with replacing(save_directory / CONFIG) as file:
            file.write(yaml.safe_dump(config, sort_keys=False).encode())


_CARD = """# {name}

A generator of videos: content noise, motion noise and times to frames, for videos of any length at any frame rate
(StyleGAN-V, Skorokhodov et al., CVPR 2022). These are weights averaged over training.

| | |
|---|---|
{rows}

## Sampling

From a checkout of stylegan-v-fields, which reads these files without running anything in them:

```python
import stylegan_v
from stylegan_v.rendering import draw_latents, frame_times, render

generator = stylegan_v.from_pretrained("{name}")
latents = draw_latents(generator, seed=0, videos=range(4))
times = frame_times(seconds=4, fps={fps}, data_fps={fps})
for frames in render(generator, latents, times):
    print(frames.shape)  # videos, frames, 3, height, width; uint8
```

Or, with these files in a folder, `python generate.py sample --ckpt FOLDER --num_videos 4 --seconds 4 --out out/`.

A video is decided by the seed and its number: video 3 of seed 0 is the same whatever else is drawn, at whatever frame
rate, and on whatever device up to rounding. `truncation_psi` below 1 draws videos nearer to the mean one.
"""
