"""A run: a folder with its config, checkpoints, curves and samples, and the command line that starts or resumes it."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jsonargparse import Namespace
from jsonargparse.typing import PositiveFloat
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.plugins import CheckpointIO
from pytorch_lightning.plugins.environments import SLURMEnvironment
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_only

from command_line import OneLineErrors, one_line
from errors import InputError
from stylegan_v.callbacks import Checkpointing, CostReport, Evaluation, GracefulStop, RunProgress, Throughput
from stylegan_v.checkpoints import (
    BEST,
    LAST,
    check_fits,
    find_checkpoint,
    read_checkpoint,
    remove_stale,
    replacing,
    write_checkpoint,
)
from stylegan_v.distributed import OwnReductionDDPStrategy, gathered, lost_peer, num_ranks
from stylegan_v.host_memory import keep_freed_memory
from stylegan_v.launches import Launch
from stylegan_v.transfer.origin import check_source, own_checkpoint

# What a GAN needs and Lightning does otherwise: no epochs, a sampler that shares out clips by itself, own checkpoints.
TRAINER_DEFAULTS = {
    "max_epochs": -1,
    "use_distributed_sampler": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 10,
}

_INIT_FROM = "model.init_args.init_from"

# What Lightning says on every start and nobody can act on: advertisements, devices that are not there, a switch that no
# config has, a notice about its own code.
_NOISE = ("Tip:", "TPU available: False", "Restoring states from", "that has Tensor Cores")
logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(
    lambda record: not any(words in record.getMessage() for words in _NOISE)
)
logging.getLogger("pytorch_lightning.accelerators.cuda").setLevel(logging.WARNING)
# Our data have a loader for `validate`; a module that does not measure is trained on them all the same.
warnings.filterwarnings("ignore", "You passed in a `val_dataloader` but have no `validation_step`")
warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")


class AtomicCheckpointIO(CheckpointIO):
    """Checkpoints that are written whole or not at all, and read without running anything."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)


class Curves(TensorBoardLogger):
    """Curves for TensorBoard; without a file of hyperparameters where there are none: config.yaml holds them all."""

    @rank_zero_only
    def save(self) -> None:
        if self.hparams:
            super().save()
        else:
            self.experiment.flush()


class RunConfig(SaveConfigCallback):
    """Puts the resolved config into the run's folder and into each of its checkpoints, with the version of torch there.

    A config of an earlier start that says something else is kept under a numbered name.
    """

    def __init__(self, parser: LightningArgumentParser, config: Namespace) -> None:
        super().__init__(parser, config)
        resolved = config.clone()
        resolved.ckpt_path = None  # how this start began, not what the run is
        if "print_cost" in resolved:
            resolved.print_cost = False
        self.text = parser.dump(resolved, skip_unset=False)
        self.start = config.get("ckpt_path")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if num_ranks() > 1:
            check_same_start(gathered(self.start and _described(Path(self.start))))
        if stage == "fit" and trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / "config.yaml"
            if path.exists() and path.read_text() != self.text:
                number = next(n for n in range(1, sys.maxsize) if not path.with_name(f"config.{n}.yaml").exists())
                path.rename(path.with_name(f"config.{number}.yaml"))
            with replacing(path) as file:
                file.write(self.text.encode())

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        table = getattr(pl_module, "started_from", None)
        if table is not None and trainer.is_global_zero:
            with replacing(Path(trainer.default_root_dir) / "init_from.csv") as file:
                file.write(table.csv().encode())

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["config"] = self.text
        checkpoint["torch_version"] = str(torch.__version__)


def _described(path: Path) -> str:
    """A checkpoint as processes compare it; where they see different files, these differ in how far they are."""
    return f"{path.name} (step {read_checkpoint(path, mmap=True).get('global_step')})"


def check_same_start(starts: list[str | None]) -> None:
    """Makes sure that all processes of a run begin in the same way.

    Args:
        starts: By rank: name of the checkpoint that it goes on from, or None.

    Raises:
        InputError: They do not.
    """
    for rank, start in enumerate(starts):
        if start != starts[0]:
            raise InputError(
                f"ckpt_path: rank 0 starts from {starts[0] or 'nothing'}, rank {rank} from {start or 'nothing'}: give "
                "all processes the same flags, and one folder of runs that all machines see"
            )


@runtime_checkable
class BuiltForData(Protocol):
    """A module whose shapes follow from its data, such as a field that is fitted to one video."""

    def meet(self, data: LightningDataModule) -> None:
        """Builds what is built for these data."""


class RunParser(OneLineErrors, LightningArgumentParser):
    """A parser of whole experiments."""


class RunCLI(LightningCLI):
    """``train.py``: any model and data that a config names, in a run folder of its own.

    Args:
        args: Command line; None takes that of the process.
    """

    folder: Path

    def __init__(self, args: Sequence[str] | None = None) -> None:
        self.interrupts = GracefulStop()
        self.made: list[Path] = []  # folders that this start made
        self.launch: Launch | None = None  # until the folder is known
        try:
            super().__init__(
                save_config_callback=RunConfig,
                trainer_defaults=TRAINER_DEFAULTS | {"callbacks": [self.interrupts]},
                seed_everything_default=0,
                parser_class=RunParser,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
                args=None if args is None else list(args),
            )
        except BaseException:
            if self.launch is not None:
                self.launch.undo()
            remove_empty(self.made)
            raise

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--run_name", type=str | None, help="name of the run's folder (default: that of the config)"
        )
        parser.add_argument("--runs_dir", type=str, default="runs", help="where the folders of runs are")
        parser.add_argument(
            "--print_cost",
            action="store_true",
            help="say before training what it costs: parameters, operations, memory; after 20 updates how fast it is; "
            "training goes on",
        )
        parser.add_argument(
            "--peer_timeout",
            type=PositiveFloat,
            default=1800.0,
            help="seconds that a process waits for the others, which may be dead, before it ends",
        )
        # In this order: throughput counts what happens after it as waiting for data.
        parser.add_lightning_class_args(RunProgress, "progress")
        parser.add_lightning_class_args(Checkpointing, "checkpointing")
        parser.add_lightning_class_args(Evaluation, "evaluation")
        parser.add_lightning_class_args(Throughput, "throughput")

    def _parse_ckpt_path(self) -> None:
        # Lightning would build classes that the checkpoint names. Here only the user's config says what is built.
        pass

    def parse_arguments(self, parser: LightningArgumentParser, args: list[str] | None) -> None:
        # Here, and not in a later hook: nothing has been seeded, built or said yet.
        try:
            super().parse_arguments(parser, args)
        except InputError as error:
            if "parsing config" not in str(error):
                raise
            words = " ".join(args or sys.argv).replace("--config=", "--config ").split()
            files = [file for flag, file in pairwise(words) if flag in ("-c", "--config")]
            raise InputError(f"{', '.join(files)}: {error}") from error
        subcommand = self.config.subcommand
        config = self.config[subcommand]
        if config.trainer.default_root_dir is not None:
            raise InputError(
                "trainer.default_root_dir: a run lives in runs_dir/run_name: give --runs_dir and --run_name"
            )
        config.run_name = _run_name(config.run_name, config.config)
        self.folder = Path(config.runs_dir).expanduser() / config.run_name
        if subcommand in ("validate", "test"):
            config.ckpt_path = config.ckpt_path or "last"
            config.evaluation.monitor = (
                None  # nothing is chosen here, so other protocols than that of the run may be given
            )
        self.launch = Launch(self.folder)
        if subcommand == "fit" and self.launch.saved:
            config.ckpt_path = "last"  # torchrun and SLURM repeat the command of the launch
            rank_zero_info(f"{self.folder}: restarted, goes on from {LAST}")
        if config.ckpt_path is not None:
            config.ckpt_path = str(self._checkpoint(config, fitting=subcommand == "fit"))
        elif subcommand == "fit" and (source := config.get(_INIT_FROM)) is not None and not _requeued(self.folder):
            check_source(source, self.folder)
        if subcommand == "fit" and rank_zero_only.rank == 0:
            self.made = prepare_folder(self.folder, resuming=config.ckpt_path is not None)
        if subcommand == "fit":
            self.launch.begin()

    def _checkpoint(self, config: Namespace, *, fitting: bool) -> Path:
        """The checkpoint that is asked for; to train on, a model that can start from others takes only its own."""
        given = str(self.folder / BEST) if config.ckpt_path == "best" else config.ckpt_path
        if fitting and _INIT_FROM in config:
            return own_checkpoint(given, self.folder, config.run_name)
        return find_checkpoint(self.folder / LAST if given == "last" else given)

    def instantiate_classes(self) -> None:
        with _constructor_errors():
            super().instantiate_classes()
            if isinstance(self.model, BuiltForData):
                self.model.meet(self.datamodule)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        options = self._get(self.config_init, "trainer")
        plugins = options.plugins if isinstance(options.plugins, list) else [options.plugins]
        kwargs |= {"default_root_dir": str(self.folder), "plugins": [AtomicCheckpointIO(), *filter(None, plugins)]}
        if self.subcommand != "fit" and options.logger in (None, True):
            kwargs["logger"] = False  # curves are of training
        elif options.logger in (None, True):
            kwargs["logger"] = Curves(self.folder.parent, self.folder.name, version="", default_hp_metric=False)
        if options.enable_progress_bar is False:  # Lightning means its own bar, and objects to another one
            self._get(self.config_init, "progress").disable()
            kwargs["enable_progress_bar"] = True
        trainer = super().instantiate_trainer(**kwargs)
        if self._get(self.config_init, "print_cost"):
            trainer.callbacks.append(CostReport())
        if isinstance(trainer.strategy, OwnReductionDDPStrategy):
            trainer.strategy.wait_at_most(self._get(self.config_init, "peer_timeout"))
        return trainer

    def before_validate(self) -> None:
        self._check_checkpoint()

    def before_test(self) -> None:
        self._check_checkpoint()

    def _check_checkpoint(self) -> None:
        """Makes sure that the checkpoint, if there is one, is of the model at hand."""
        if path := self.config[self.subcommand].ckpt_path:
            state = read_checkpoint(Path(path), mmap=True)["state_dict"]
            check_fits(self.model.state_dict(), state, Path(path))

    def before_fit(self) -> None:
        self._check_checkpoint()
        counts = {
            name: sum(p.numel() for p in part.parameters() if p.requires_grad)
            for name, part in self.model.named_children()
        }
        if self.trainer.strategy.root_device.type == "cpu":
            keep_freed_memory()
        sizes = ", ".join(f"{name} {count / 1e6:.3g} M" for name, count in counts.items() if count)
        rank_zero_info(f"{self.folder}: parameters that move: {sizes}")

    def fit(self, **kwargs: Any) -> None:
        """Trains; a run that a signal ended leaves with the exit code that shells expect of that.

        Raises:
            InputError: Another process of the run is lost.
        """
        try:
            self.trainer.fit(**kwargs)
        except SIGTERMException as ended:
            raise SystemExit(128 + signal.SIGTERM) from ended
        except RuntimeError as error:
            if not lost_peer(error):
                raise
            raise InputError(self._on_lost_peer(error)) from error
        self.launch.end()
        if self.interrupts.stopped:
            rank_zero_info(f"stopped; continue with the same command and --ckpt_path last ({self.folder})")
            raise SystemExit(128 + signal.SIGINT)

    def _on_lost_peer(self, error: RuntimeError) -> str:
        """What to say of it, in one line: this process's rank, what it noticed, where the run can go on."""
        kept = (self.folder / LAST).exists()
        remedy = "continue with the same command and --ckpt_path last" if kept else "nothing was saved yet: start again"
        noticed = (str(error).splitlines() or [type(error).__name__])[0]
        return (
            f"{self.folder}: rank {self.trainer.global_rank} of {self.trainer.world_size} lost another process of the "
            f"run, which died or hangs ({noticed}): see what it said; {remedy}"
        )


def _run_name(name: str | None, configs: list[Any] | None) -> str:
    """The name given, or that of the last config file."""
    if name is None:
        if not configs:
            raise InputError("run_name: give --config or --run_name")
        name = Path(str(configs[-1])).stem
    if Path(name).is_absolute() or ".." in Path(name).parts or not Path(name).parts:
        raise InputError(f"run_name: {name!r} is no name of a folder inside runs_dir: choose another")
    return name


def prepare_folder(folder: Path, *, resuming: bool) -> list[Path]:
    """Makes sure that a run can be written to ``folder`` and does not overwrite another.

    Args:
        folder: Of the run; made where it is missing.
        resuming: Whether the run continues from a checkpoint.

    Returns:
        The folders that were made, the innermost first.

    Raises:
        InputError: It holds another run.
        OSError: It cannot be written.
    """
    if (folder / LAST).exists() and not resuming and not _requeued(folder):
        raise InputError(
            f"{folder}: holds a run already: continue it with --ckpt_path last, or choose another --run_name"
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, a run needs a folder: choose another --run_name")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        error.filename = str(folder)  # not the temporary name in it
        remove_empty(made)
        raise
    for path in [*remove_stale(folder), *remove_stale(folder / "samples")]:
        rank_zero_info(f"removed {path}, left half-written by an earlier start")
    return made


def _requeued(folder: Path) -> bool:
    """Whether this is a job that SLURM started again: Lightning resumes it by itself."""
    return SLURMEnvironment.detect() and any(folder.glob("hpc_ckpt_*.ckpt"))


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes those of the folders in which there is nothing, in this order."""
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def _constructor_errors() -> Iterator[None]:
    """Brings to light what a constructor says about its arguments: the parser wraps it in a report on types."""
    try:
        yield
    except (ValueError, OSError, MisconfigurationException) as error:
        cause: BaseException = error
        while cause.__cause__ is not None and not isinstance(cause, (InputError, OSError)):
            cause = cause.__cause__
        if isinstance(cause, (InputError, OSError)):
            raise cause from None
        if isinstance(cause, (ValueError, MisconfigurationException)):
            raise InputError(one_line(str(cause))) from error
        raise
