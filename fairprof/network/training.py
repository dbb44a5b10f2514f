"""Training with Lightning: the study's optimiser and loss, exact resume, selection on validation data."""

import copy
import logging
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy

from fairprof.errors import UserError
from fairprof.mitigation.losses import Loss, Place, Term, class_weights, mean_loss
from fairprof.mitigation.methods import METHODS
from fairprof.mitigation.rows import GroupedRows
from fairprof.network import checkpoints
from fairprof.network.batches import TrainingBatch, evaluation_batches, training_batches
from fairprof.network.records import (
    SELECTION_RULES,
    Measure,
    Report,
    SelectedEpoch,
    SelectionRule,
    Trained,
    Training,
    other_selections,
)
from fairprof.network.synchronised import announce, synchronised
from fairprof.network.weights import arrays_of
from fairprof.reporting.wording import number
from fairprof.runtime.hardware import channels_last, device_of, on_gpu, precision_of
from fairprof.runtime.processes import ALONE, Processes
from fairprof.runtime.progress import progress_bar
from fairprof.seeds import derive_seed


class TrainingStep(lightning.LightningModule):
    """Loss, optimiser, schedule and the values of every epoch, for the trainable part of the network.

    The constant part in front of it, if there is one, is no part of this module: it is either computed here, without
    gradients, or what it computes comes from the cache.
    """

    class_weights: torch.Tensor

    def __init__(self, training: Training, processes: Processes, measure: Measure):
        super().__init__()
        self.settings, self.pool, self.drawn = training.settings, training.pool, training.drawn
        self.classifier, self.inputs = training.classifier, training.inputs
        self.processes, self.measure = processes, measure
        self.network = self.classifier.trainable
        if processes.count > 1:
            self.network = synchronised(copy.deepcopy(self.network), on_gpu(self.settings.accelerator))
        self.rows = GroupedRows.of(self.pool, self.drawn.train, self.settings.mitigate, training.wrong)
        self.register_buffer("class_weights", class_weights(self.pool, self.drawn.train), persistent=False)
        self.loss = self._new_loss()
        self.history: list[dict[str, float]] = []
        self.train_losses: list[torch.Tensor] = []
        self.val_outputs: list[tuple[torch.Tensor, torch.Tensor]] = []

    def _new_loss(self) -> Loss:
        new = METHODS[self.settings.mitigation].hook("loss")
        assert new is not None
        smoothing, values = self.settings.label_smoothing, self.settings.method_values()
        return new(self.rows, self.class_weights, smoothing, values, self.processes)

    def train_dataloader(self):
        """A new loader every epoch: its workers would otherwise prefetch a resumed epoch in the wrong order."""
        return training_batches(
            self.pool, self.rows, self.inputs, self.settings, self.trainer.current_epoch, self.processes
        )

    def val_dataloader(self):
        return evaluation_batches(self.pool, self.processes.share(self.drawn.val), self.inputs, self.settings)

    def on_fit_start(self) -> None:
        self.classifier.move_to(self.device)
        # these and not `torch.manual_seed`, which looks through the call stack each time
        self.generators = [torch.default_generator]
        if self.device.type == "cuda":
            self.generators.append(torch.cuda.default_generators[self.device.index])
        # the function and not the module, which is validated and used afterwards with batches of any size
        self.compute = torch.compile(self.network.forward) if self.settings.compile else self.network.forward

    def on_train_epoch_start(self) -> None:
        self.classifier.set_training(self.network)

    def on_train_batch_start(self, batch: TrainingBatch, batch_index: int) -> None:
        # dropout draws from the global generators: seeded here, a resumed epoch repeats it exactly
        for generator in self.generators:
            generator.manual_seed(derive_seed(self.settings.seed, "dropout", self.current_epoch, batch_index))
        announce(self.network, batch)

    def training_step(self, batch: TrainingBatch, batch_index: int) -> torch.Tensor:
        entering = self._entering(batch.inputs)
        mixed = entering[batch.own]
        if batch.share < 1:
            mixed = batch.share * mixed + (1 - batch.share) * entering[batch.partners]
        logits = self.compute(channels_last(mixed))
        mixed_of = [(batch.share, batch.own), (1 - batch.share, batch.partners)][: 2 if batch.share < 1 else 1]
        terms = [Term(share, batch.classes[of], batch.groups[of], batch.weights[of]) for share, of in mixed_of]
        loss = self.loss(logits, terms, Place(batch.first, batch.size))
        self.train_losses.append(loss.detach())
        return loss

    def _entering(self, inputs: torch.Tensor) -> torch.Tensor:
        """What enters the trainable part, float32: the inputs themselves unless a prefix has yet to be computed."""
        prefix = self.classifier.prefix
        if prefix is None or self.inputs.boundary == self.classifier.boundary:
            return inputs
        with torch.no_grad():
            return prefix.eval()(channels_last(inputs)).float()

    def validation_step(self, batch, batch_index: int) -> None:
        inputs, classes, _ = batch
        self.val_outputs.append((self.network(channels_last(self._entering(inputs))).float(), classes))

    def _validation_outputs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, K) and classes (N,) of the validation rows, in their order."""
        parts = (torch.cat(parts) for parts in zip(*self.val_outputs, strict=True))
        logits, classes = (self.processes.gathered(part, len(self.drawn.val)) for part in parts)
        self.val_outputs.clear()
        if not torch.isfinite(logits).all():
            raise UserError(
                f"training diverged in epoch {self.current_epoch + 1}: the network's outputs are no longer finite: "
                f"lower learning_rate={self.settings.learning_rate:g}"
            )
        return logits, classes

    def on_validation_epoch_end(self) -> None:
        logits, classes = self._validation_outputs()
        train_loss = self.processes.total(torch.stack(self.train_losses).mean()) / self.processes.count
        val_loss = mean_loss(logits, classes, self.class_weights, self.settings.label_smoothing)
        values = {"train/loss": train_loss.item(), "val/loss": val_loss.item()}
        self.train_losses.clear()
        probabilities = logits.softmax(dim=1).double().cpu().numpy()
        values |= {f"val/{name}": float(value) for name, value in self.measure(probabilities).items()}
        (optimizer,) = self.trainer.optimizers
        values["learning_rate"] = optimizer.param_groups[-1]["lr"]
        values |= self.loss.epoch_values()
        self.history.append(values)
        for name in (self.settings.selection, *other_selections(self.settings)):
            metric = SELECTION_RULES[name].metric
            self.log(metric, values[metric], sync_dist=self.processes.count > 1)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["history"] = self.history
        checkpoint["ended"] = self.trainer.should_stop or self.current_epoch + 1 >= self.settings.epochs

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.history = checkpoint["history"]

    def configure_optimizers(self):
        """AdamW with a smaller learning rate for the backbone; OneCycle with a cosine, stepped per batch."""
        settings = self.settings
        head = f"{self.classifier.head}."
        trained = [(name, value) for name, value in self.network.named_parameters() if value.requires_grad]
        rates = {False: settings.learning_rate * settings.backbone_learning_rate_ratio, True: settings.learning_rate}
        groups: list[dict[str, Any]] = [
            {"params": [value for name, value in trained if name.startswith(head) == is_head], "lr": rate}
            for is_head, rate in rates.items()
        ]
        groups = [group for group in groups if group["params"]]
        optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in groups],
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=settings.warmup_fraction,
            anneal_strategy="cos",
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class EpochReports(Callback):
    """Tells every epoch's values once, those of a resumed training's earlier epochs first, and shows the progress."""

    def __init__(self, report: Report, epochs: int):
        self.report = report
        self.epochs = epochs
        self.told = 0

    def on_train_start(self, trainer, module) -> None:
        steps = trainer.num_training_batches * self.epochs
        self.bar = progress_bar("training", steps, "steps")
        self.bar.update(trainer.global_step)
        self._tell(module)

    def on_train_batch_end(self, trainer, module, *_) -> None:
        self.bar.update(1)

    def on_train_epoch_end(self, trainer, module) -> None:
        self._tell(module)

    def on_train_end(self, trainer, module) -> None:
        self.bar.close()

    def _tell(self, module: TrainingStep) -> None:
        for epoch, values in enumerate(module.history[self.told :], start=self.told + 1):
            self.report(epoch, values)
            self.bar.set_postfix_str(
                f"epoch {epoch}/{self.epochs}, val loss {number(values['val/loss'])}, "
                f"macro-F1 {number(values['val/macro_f1'])}",
                refresh=False,
            )
        self.told = len(module.history)


class CheckpointFiles(TorchCheckpointIO):
    """Has Lightning write and read the checkpoints of `fairprof.network.checkpoints`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        checkpoints.write(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        return checkpoints.read(Path(path))


def fit(training: Training, measure: Measure, report: Report, folder: Path, processes: Processes = ALONE) -> Trained:
    """Trains the classifier on the draw and leaves the best epoch's weights in its network.

    `folder` keeps a checkpoint of every epoch: killed and called again with the same arguments, training goes on there
    and ends with the same weights and values as undisturbed (on the same machine). A training that had already ended is
    not repeated; one whose checkpoint is damaged begins anew, which is said. processes: all of them call this alike,
    and train together as a single one would; only the leading one reports.
    """
    held_out = len(training.drawn.val)
    if processes.count > held_out:
        raise UserError(
            f"{processes.count} processes are more than the {held_out} validation images of the draw: start fewer"
        )
    heard = report if processes.leads else lambda epoch, values: None
    step = TrainingStep(training, processes, measure)
    resume = folder / checkpoints.RESUME
    with processes.leader_first():  # it removes what is damaged
        going_on = checkpoints.can_resume(folder, other_selections(training.settings))
        earlier = checkpoints.read(resume) if going_on else None
    # the checkpoint itself says whether it is the last one: Lightning would train on after an early stop
    if earlier and earlier["ended"]:
        step.history = earlier["history"]
        for epoch, values in enumerate(step.history, start=1):
            heard(epoch, values)
    else:
        _run(step, heard, folder, resume if earlier else None)
    processes.wait_for_all()
    last, best = checkpoints.read(resume), checkpoints.read(folder / checkpoints.BEST)
    selected = {
        name: _selected_epoch(folder / checkpoints.best_by(name)) for name in other_selections(training.settings)
    }
    network = training.classifier.network
    network.load_state_dict(_network_weights(best), strict=False)
    training.classifier.move_to(device_of(training.settings.accelerator))
    network.eval()
    # copies: the network may be changed afterwards
    best_weights = {name: value.copy() for name, value in arrays_of(network.state_dict()).items()}
    last_weights = best_weights | arrays_of(_network_weights(last))
    return Trained(step.history, best["epoch"] + 1, best_weights, last_weights, selected)


def _run(step: TrainingStep, report: Report, folder: Path, resume_from: Path | None) -> None:
    settings = step.settings
    rule = SELECTION_RULES[settings.selection]
    best = [_best_by(rule, folder, checkpoints.BEST)] + [
        _best_by(SELECTION_RULES[name], folder, checkpoints.best_by(name)) for name in other_selections(settings)
    ]
    resume = ModelCheckpoint(
        folder, Path(checkpoints.RESUME).stem, monitor=None, every_n_epochs=1, enable_version_counter=False
    )
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # every new tensor would be filled once more, against code that reads what it never wrote; PyTorch's does not
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property of the module
    processes = step.processes
    trainer = lightning.Trainer(
        accelerator="gpu" if on_gpu(settings.accelerator) else "cpu",
        devices=processes.local_count,
        num_nodes=processes.count // processes.local_count,
        # statistics of batch norm are equal in all processes already
        strategy=DDPStrategy(broadcast_buffers=False) if processes.count > 1 else "auto",
        plugins=[CheckpointFiles()],
        use_distributed_sampler=False,
        precision=precision_of(settings.accelerator),
        max_epochs=settings.epochs,
        deterministic=True,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        callbacks=[
            EpochReports(report, settings.epochs),
            EarlyStopping(rule.metric, patience=settings.patience, mode=rule.mode),
            *best,
            resume,
        ],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    step.train()  # what is frozen is put into evaluation mode at every epoch's start; Lightning warns of it here
    with warnings.catch_warnings():
        # a memory map needs no worker processes, and the other two are Lightning's own affairs
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
        # torch 2.11, which is supported as well, does not know the new name yet
        warnings.filterwarnings("ignore", message=".*broadcast_buffers. is deprecated.*")
        trainer.fit(step, ckpt_path=resume_from, weights_only=True)


def _best_by(rule: SelectionRule, folder: Path, name: str) -> ModelCheckpoint:
    """Keeps the weights of the best epoch by a rule."""
    return ModelCheckpoint(
        folder,
        Path(name).stem,
        monitor=rule.metric,
        mode=rule.mode,
        save_weights_only=True,
        enable_version_counter=False,
    )


def _selected_epoch(path: Path) -> SelectedEpoch:
    checkpoint = checkpoints.read(path)
    return SelectedEpoch(checkpoint["epoch"] + 1, arrays_of(_network_weights(checkpoint)))


def _network_weights(checkpoint: dict) -> dict[str, torch.Tensor]:
    tensors = checkpoint["state_dict"]
    return {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
