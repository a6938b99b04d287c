"""Parts of `fields` that learn as slowly as the layers of the generator."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call


class Equalized(nn.Module):
    """A module whose weights are kept at unit variance or so and scaled by their fan-in at run time.

    That is an equalised learning rate (Karras et al. 2018, section 4.1). The module computes what it did, but
    optimisers whose steps do not depend on the size of gradients change it by the same share as the generator's other
    layers, instead of many times faster. Biases stay as they are.

    Args:
        module: With its initial parameters.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.gains = {name: self._gain(name, value) for name, value in module.named_parameters()}
        with torch.no_grad():
            for name, value in module.named_parameters():
                value.div_(self.gains[name])

    @staticmethod
    def _gain(name: str, value: nn.Parameter) -> float:
        # Known without the values: a network may be built without memory for them.
        if not name.endswith("weight"):
            return 1.0
        return value.shape[1:].numel() ** -0.5

    def forward(self, *args: Any) -> Any:
        scaled = {name: value * self.gains[name] for name, value in self.module.named_parameters()}
        return functional_call(self.module, scaled, args)
