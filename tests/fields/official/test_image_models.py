from __future__ import annotations

import pytest
import torch
from torch import Tensor

from errors import InputError
from fields import official
from fields.encoders import EDSR, RCAN, RDN
from fields.liif import LIIF
from fields.metasr import MetaSR
from fields.official.image_models import encoder_node, liif_node
from fields.readout import NearestReadout

EDSR_SPEC = {"name": "edsr-baseline", "args": {"n_resblocks": 1, "n_feats": 4, "no_upsampling": True}}
MLP_SPEC = {"name": "mlp", "args": {"out_dim": 3, "hidden_list": [8, 6]}}
SETTINGS = {"encoder_spec": EDSR_SPEC, "imnet_spec": MLP_SPEC}


def with_mean_shifts(state: dict[str, Tensor], prefix: str = "encoder.") -> dict[str, Tensor]:
    """As the original's files have it: with constants that nothing applies."""
    shifts = {f"{prefix}{kind}_mean.{name}": torch.ones(3) for kind in ("sub", "add") for name in ("weight", "bias")}
    return state | shifts


@pytest.mark.parametrize(
    "wrap",
    [
        lambda settings: settings,
        lambda settings: {"model": settings, "seed": 1},
        lambda settings: {"name": "liif", "args": settings},
        lambda settings: {"model": {"name": "liif", "args": settings}},
    ],
    ids=["plain", "recording", "model", "checkpoint"],
)
def test_settings_are_found_however_they_are_wrapped(wrap: object) -> None:
    ours = LIIF(EDSR(1, 4), (8, 6))
    found = official.liif(wrap(SETTINGS), with_mean_shifts(ours.state_dict()))
    assert isinstance(found, LIIF) and not found.training
    for name, value in ours.state_dict().items():
        assert torch.equal(found.state_dict()[name], value)


def test_switches_are_on_where_they_are_absent() -> None:
    off = {"feat_unfold": False, "local_ensemble": False, "cell_decode": False}
    node = liif_node(SETTINGS)["init_args"]
    assert (node["unfold"], node["ensemble"], node["cell"]) == (True, True, True)
    node = liif_node(SETTINGS | off)["init_args"]
    assert (node["unfold"], node["ensemble"], node["cell"]) == (False, False, False)


def test_the_original_defaults() -> None:
    def sizes(name: str, **args: object) -> dict:
        return encoder_node({"name": name, "args": {"no_upsampling": True} | args})["init_args"]

    none = {"upscale": None}
    assert sizes("edsr-baseline") == {"num_blocks": 16, "num_features": 64, "res_scale": 1.0} | none
    assert sizes("edsr") == {"num_blocks": 32, "num_features": 256, "res_scale": 0.1} | none
    assert sizes("rdn") == {"num_blocks": 16, "num_layers": 8, "growth": 64, "num_features": 64} | none
    assert sizes("rdn", RDNconfig="A") == {"num_blocks": 20, "num_layers": 6, "growth": 32, "num_features": 64} | none
    assert sizes("rcan") == {"num_groups": 10, "num_blocks": 20, "num_features": 64, "reduction": 16} | none
    assert encoder_node({"name": "edsr", "args": {}})["init_args"]["upscale"] == 2


def test_recorded_sizes_override_the_letter_of_an_rdn() -> None:
    spec = {"name": "rdn", "args": {"G0": 4, "RDNconfig": "T9", "no_upsampling": True}}
    ours = RDN(2, 3, 5, 4)
    found = official.encoder({"encoder_spec": spec, "rdn_DCG": [2, 3, 5]}, ours.state_dict())
    image = torch.randn(1, 3, 4, 5)
    assert torch.equal(found(image), ours(image))
    with pytest.raises(InputError, match="T9"):
        official.encoder({"encoder_spec": spec}, ours.state_dict())


def test_an_encoder_is_taken_out_of_a_whole_model_or_given_alone() -> None:
    whole, image = LIIF(EDSR(1, 4), (8, 6)), torch.randn(1, 3, 4, 5)
    expected = whole.encoder(image)
    assert torch.equal(official.encoder(SETTINGS, with_mean_shifts(whole.state_dict()))(image), expected)
    alone = with_mean_shifts(whole.encoder.state_dict(), "")
    assert torch.equal(official.encoder(EDSR_SPEC["args"], alone)(image), expected)
    rcan = RCAN(1, 2, 4, 2)
    bare = {"n_resgroups": 1, "n_resblocks": 2, "n_feats": 4, "reduction": 2, "no_upsampling": True}
    assert torch.equal(official.encoder(bare, rcan.state_dict())(image), rcan(image))


def test_metasr_and_models_without_a_perceptron() -> None:
    ours = MetaSR(EDSR(1, 4))
    assert isinstance(official.metasr({"encoder_spec": EDSR_SPEC}, ours.state_dict()), MetaSR)
    tail = {"encoder_spec": {"name": "edsr-baseline", "args": {"n_resblocks": 1, "n_feats": 4, "scale": 4}}}
    found = official.liif(tail, NearestReadout(EDSR(1, 4, upscale=4)).state_dict())
    assert found.encode(torch.zeros(1, 3, 2, 2)).shape == (1, 3, 8, 8)


def test_tensors_are_copied_and_can_be_trained() -> None:
    state = LIIF(EDSR(1, 4), (8, 6)).state_dict()
    found = official.liif(SETTINGS, state)
    with torch.no_grad():
        found.imnet.layers[0].bias.add_(1)
    assert not torch.equal(found.imnet.layers[0].bias, state["imnet.layers.0.bias"])
    assert all(one.requires_grad for one in found.parameters())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"encoder_spec": {"name": "swinir", "args": {}}, "imnet_spec": MLP_SPEC}, "'swinir'"),
        ({"encoder_spec": {"name": "edsr", "args": {"depth": 3}}, "imnet_spec": MLP_SPEC}, "'depth'"),
        ({"encoder_spec": {"name": "rdn", "args": {"RDNkSize": 5}}, "imnet_spec": MLP_SPEC}, "kernels of 5"),
        ({"encoder_spec": EDSR_SPEC, "imnet_spec": {"name": "siren", "args": {}}}, "mlp"),
        ({"encoder_spec": "edsr", "imnet_spec": MLP_SPEC}, "encoder_spec"),
        ({"encoder_spec": EDSR_SPEC, "imnet_spec": {"name": "mlp", "args": {"hidden_list": ["x"]}}}, "hidden"),
        ({"encoder_spec": {"name": "edsr", "args": {"n_feats": 1e9}}, "imnet_spec": MLP_SPEC}, "n_feats"),
    ],
)
def test_unknown_settings_are_refused_in_one_line(settings: dict, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        official.liif(settings, LIIF(EDSR(1, 4), (8, 6)).state_dict())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ["missing", "surplus", "shape"])
def test_tensors_of_another_model_are_refused(change: str) -> None:
    state = LIIF(EDSR(1, 4), (8, 6)).state_dict()
    if change == "missing":
        state.pop("imnet.layers.4.bias")
    elif change == "surplus":
        state["imnet.layers.9.bias"] = torch.zeros(3)
    else:
        state["imnet.layers.4.bias"] = torch.zeros(4)
    with pytest.raises(InputError, match=r"imnet\.layers|more parameters"):
        official.liif(SETTINGS, state)
