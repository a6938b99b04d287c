"""The card of converted weights: what they are, where they and each setting come from, how to use them."""

from __future__ import annotations

import shlex
from pathlib import Path

from stylegan_v.official.conversion import Notes
from stylegan_v.official.network_settings import Source
from stylegan_v.official.snapshot import Snapshot
from stylegan_v.weights import CONFIG, MODEL, Weights

_SOURCES: dict[Source, str] = {
    "tensors": "the shapes or values of tensors",
    "embedded": "settings that the file carries",
    "flag": "given by whoever converted it",
    "assumed": "not known: as the original ships it",
}


def model_card(snapshot: Snapshot, weights: Weights, notes: Notes, out: str) -> str:
    """Text of README.md, with the front matter that model hubs read.

    Args:
        snapshot: What was converted.
        weights: What it became.
        notes: Of the conversion.
        out: The folder, as the user wrote it.
    """
    source = _line(snapshot.path.name)
    folder = _line(Path(out).name if Path(out).expanduser().is_absolute() else out)
    rows = "\n".join(f"| {what} | {value} |" for what, value in _facts(snapshot, weights, notes).items())
    settings = "\n".join(
        f"| {name} | {_line(notes.shown(name))} | {setting.source} |" for name, setting in notes.settings.items()
    )
    return _CARD.format(
        source=source,
        model=MODEL,
        rows=rows,
        settings=settings,
        sources="\n".join(f"- {name}: {meaning}" for name, meaning in _SOURCES.items()),
        dropped="\n".join(f"- {_line(text)}" for text in notes.dropped),
        out=shlex.quote(folder),
        config=shlex.quote(f"{folder}/{CONFIG}"),
    )


def _facts(snapshot: Snapshot, weights: Weights, notes: Notes) -> dict[str, str]:
    size, facts = notes.settings["resolution"].value, weights.facts
    rows = {
        "made from": f"`{_line(snapshot.path.name)}`",
        "its SHA-256": f"`{snapshot.sha256}`",
        "frames": f"{size} x {size} pixels",
        "parameters of the generator": _spaced(notes.num_parameters["G"]),
        "parameters of the discriminator": _spaced(notes.num_parameters["D"]),
        "labels": str(notes.settings["c_dim"].value or "none"),
    }
    seen = {"num_frames": "real frames shown in training", "num_clips": "real clips", "updates": "updates"}
    return rows | {what: _spaced(facts[name]) if name in facts else "not known" for name, what in seen.items()}


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _line(text: str) -> str:
    """Text of a file's in one line of a table, without what would be markup there."""
    return " ".join(text.replace("`", "'").replace("|", "/").replace("<", "(").replace(">", ")").split())


_CARD = """---
library_name: stylegan-v-fields
license: other
license_name: that-of-the-converted-file
tags:
- gan
- stylegan-v
- video-generation
---

# {source}, converted

Weights of StyleGAN-V (Skorokhodov et al., CVPR 2022), read from a file of the original program's without running
anything in it: generator, discriminator and averaged generator in `{model}`, and in `config.yaml` what builds
them and a run that goes on from them.

| | |
|---|---|
{rows}

## Licence

These weights are derived from a file of the original authors, whose code and models are under a licence that allows no
commercial use. Look up the licence where the file comes from: it holds for these weights too. The project that
converted them claims nothing on them, and its own licence covers none of them.

## Use

Videos, from a checkout of stylegan-v-fields:

    python generate.py sample --ckpt {out} --num_videos 4 --seconds 5 --out videos/

Training goes on from these weights, on the videos that `data.root` in `config.yaml` names, or on others:

    python train.py fit --config {config} --data.root PATH/TO/VIDEOS

That is a new run, with fresh optimisers and counters of its own. If the folder is moved, `init_from` in `config.yaml`
moves with it.

## Settings

Where each of them comes from:

{sources}

| setting | value | from |
|---|---|---|
{settings}

## Left behind

{dropped}
"""
