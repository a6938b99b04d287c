"""What a snapshot of StyleGAN-V may contain: the names that it may mention, and bounds on its size."""

from __future__ import annotations

from stylegan_v.official.machine import Vocabulary
from stylegan_v.official.opcodes import PLAIN, Limits

# A snapshot of 256 x 256 pixels has about 2 * 10**5 operations and 5 * 10**4 remembered values.
LIMITS = Limits(PLAIN, operations=1_000_000, memo=500_000, stack=100_000, marks=1_000, text=4096, integer=16)

# All that a snapshot names, in the spelling of its time and of related programs. Nothing here is ever imported.
_ARRAYS = frozenset({"_reconstruct", "scalar"})
_NAMES = {
    "src.torch_utils.persistence": frozenset({"_reconstruct_persistent_obj"}),
    "torch_utils.persistence": frozenset({"_reconstruct_persistent_obj"}),
    "src.dnnlib.util": frozenset({"EasyDict"}),
    "dnnlib.util": frozenset({"EasyDict"}),
    "training.layers": frozenset({"TemporalDifferenceEncoder"}),
    "torch.nn.modules.sparse": frozenset({"Embedding"}),
    "torch.nn.modules.container": frozenset({"Sequential"}),
    "torch._utils": frozenset({"_rebuild_parameter", "_rebuild_tensor_v2"}),
    "torch.storage": frozenset({"_load_from_bytes"}),
    "torch.optim.adam": frozenset({"Adam"}),
    "collections": frozenset({"OrderedDict", "defaultdict"}),
    "builtins": frozenset({"dict", "list", "int"}),
    "omegaconf.dictconfig": frozenset({"DictConfig"}),
    "omegaconf.listconfig": frozenset({"ListConfig"}),
    "omegaconf.nodes": frozenset({"AnyNode"}),
    "omegaconf.base": frozenset({"ContainerMetadata", "Metadata"}),
    "typing": frozenset({"Any"}),
    "numpy": frozenset({"ndarray", "dtype"}),
    "numpy._core.multiarray": _ARRAYS,
    "numpy.core.multiarray": _ARRAYS,
}
_ONLY_MENTIONED = frozenset({"dict", "list", "int", "Any", "ndarray"})
VOCABULARY = Vocabulary(
    _NAMES,
    made=frozenset().union(*_NAMES.values()) - _ONLY_MENTIONED,
    mappings=frozenset({"OrderedDict", "defaultdict", "EasyDict"}),
)
