"""Training with Lightning: the study's optimiser and loss, exact resume, selection on validation data."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import nn

from fairprof.config import Settings
from fairprof.data.designs import Draw
from fairprof.data.images import evaluation_batches, mixup, training_batches
from fairprof.data.pool import Pool
from fairprof.errors import UserError
from fairprof.model import Classifier
from fairprof.progress import progress_bar
from fairprof.seeds import derive_seed, numpy_generator


@dataclass(frozen=True)
class SelectionRule:
    """The validation metric that chooses the best epoch, and stops training when it no longer improves."""

    metric: str
    mode: str  # "min" or "max"

    def better(self, value: float, than: float) -> bool:
        """Whether a value of the metric beats another one."""
        return value < than if self.mode == "min" else value > than


SELECTION_RULES = {
    "val_loss": SelectionRule("val/loss", "min"),
    "val_macro_f1": SelectionRule("val/macro_f1", "max"),
    "val_worst_group": SelectionRule("val/worst_group_accuracy/gender_x_race", "max"),
}

# What is measured on validation data every epoch: row numbers (N,) and probabilities (N, K) to named values.
Measure = Callable[[np.ndarray, np.ndarray], dict[str, float]]
# Who is told the values of an epoch: epoch (from 1) and values by name.
Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Trained:
    """What a training leaves: values by name of every epoch (a list, epoch 1 first), and the best epoch (from 1).

    The classifier's network holds the weights of the best epoch; `last_weights` is the last epoch's state dict.
    """

    history: list[dict[str, float]]
    best_epoch: int
    last_weights: dict[str, torch.Tensor]


class TrainingStep(lightning.LightningModule):
    """Loss, optimiser, schedule and the values of every epoch."""

    def __init__(self, classifier: Classifier, pool: Pool, draw: Draw, settings: Settings, measure: Measure):
        super().__init__()
        self.network = classifier.network
        self.classifier = classifier
        self.pool, self.draw, self.settings, self.measure = pool, draw, settings, measure
        self.loss = nn.CrossEntropyLoss(class_weights(pool, draw.train), label_smoothing=settings.label_smoothing)
        self.history: list[dict[str, float]] = []
        self.train_losses: list[torch.Tensor] = []
        self.val_outputs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def train_dataloader(self):
        """A new loader every epoch: its workers would otherwise prefetch a resumed epoch in the wrong order."""
        return training_batches(
            self.pool,
            self.draw.train,
            self.settings.image_size,
            self.settings.batch_size,
            self.settings.seed,
            self.trainer.current_epoch,
            self.settings.workers,
        )

    def val_dataloader(self):
        return evaluation_batches(self.pool, self.draw.val, self.settings.image_size)

    def on_train_epoch_start(self) -> None:
        self.classifier.train_mode()

    def on_train_batch_start(self, batch, batch_index: int) -> None:
        # dropout draws from the global generator: seeded here, a resumed epoch repeats it exactly
        torch.manual_seed(derive_seed(self.settings.seed, "dropout", self.current_epoch, batch_index, self.global_rank))

    def training_step(self, batch, batch_index: int) -> torch.Tensor:
        images, classes, _ = batch
        generator = numpy_generator(self.settings.seed, "mixup", self.current_epoch, batch_index, self.global_rank)
        images, partners, share = mixup(images, self.settings.mixup_alpha, self.settings.mixup_probability, generator)
        logits = self.network(images.to(memory_format=torch.channels_last))
        loss = share * self.loss(logits, classes)
        if share < 1:
            loss = loss + (1 - share) * self.loss(logits, classes[partners])
        self.train_losses.append(loss.detach())
        return loss

    def validation_step(self, batch, batch_index: int) -> None:
        images, classes, rows = batch
        self.val_outputs.append((self.network(images.to(memory_format=torch.channels_last)).float(), classes, rows))

    def on_validation_epoch_end(self) -> None:
        logits, classes, rows = (torch.cat(parts) for parts in zip(*self.val_outputs, strict=True))
        self.val_outputs.clear()
        if not torch.isfinite(logits).all():
            raise UserError(
                f"training diverged in epoch {self.current_epoch + 1}: the network's outputs are no longer finite: "
                f"lower learning_rate={self.settings.learning_rate:g}"
            )
        values = {
            "train/loss": torch.stack(self.train_losses).mean().item(),
            "val/loss": self.loss(logits, classes).item(),
        }
        self.train_losses.clear()
        probabilities = logits.softmax(dim=1).double().cpu().numpy()
        values |= {
            f"val/{name}": float(value) for name, value in self.measure(rows.cpu().numpy(), probabilities).items()
        }
        values["learning_rate"] = self.optimizers().param_groups[-1]["lr"]
        self.history.append(values)
        rule = SELECTION_RULES[self.settings.selection]
        self.log(rule.metric, values[rule.metric])

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
        groups = [
            {"params": [value for name, value in trained if name.startswith(head) == is_head], "lr": rate}
            for is_head, rate in rates.items()
        ]
        groups = [group for group in groups if group["params"]]
        optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in groups],
            total_steps=self.trainer.estimated_stepping_batches,
            pct_start=settings.warmup_fraction,
            anneal_strategy="cos",
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def class_weights(pool: Pool, rows: np.ndarray) -> torch.Tensor:
    """Inverse frequency of every class among the rows, (K,) float32, 1 on average; 0 for an absent class."""
    counts = np.bincount(pool.table["profession"].cat.codes.to_numpy()[rows], minlength=len(pool.professions))
    weights = np.divide(len(rows), len(pool.professions) * counts, out=np.zeros(len(counts)), where=counts > 0)
    return torch.tensor(weights, dtype=torch.float32)


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
                f"epoch {epoch}/{self.epochs}, val loss {values['val/loss']:.3f}, "
                f"macro-F1 {values['val/macro_f1']:.3f}",
                refresh=False,
            )
        self.told = len(module.history)


def fit(
    classifier: Classifier, pool: Pool, draw: Draw, settings: Settings, measure: Measure, report: Report, folder: Path
) -> Trained:
    """Trains the classifier on the draw and leaves the best epoch's weights in its network.

    `folder` keeps a checkpoint of every epoch: killed and called again with the same arguments, training goes on
    there and ends with the same weights and values as undisturbed (on the same machine). A training that had
    already ended is not repeated.
    """
    step = TrainingStep(classifier, pool, draw, settings, measure)
    resume = folder / "resume.ckpt"
    # the checkpoint itself says whether it is the last one: Lightning would train on after an early stop
    if resume.exists() and _checkpoint(resume)["ended"]:
        step.history = _checkpoint(resume)["history"]
        for epoch, values in enumerate(step.history, start=1):
            report(epoch, values)
    else:
        _run(step, settings, report, folder)
    last, best = _checkpoint(resume), _checkpoint(folder / "best.ckpt")
    classifier.network.load_state_dict(_network_weights(best))
    classifier.network.to(_device(settings.accelerator)).eval()
    return Trained(step.history, best["epoch"] + 1, _network_weights(last))


def _run(step: TrainingStep, settings: Settings, report: Report, folder: Path) -> None:
    rule = SELECTION_RULES[settings.selection]
    best = ModelCheckpoint(
        folder, "best", monitor=rule.metric, mode=rule.mode, save_weights_only=True, enable_version_counter=False
    )
    resume = ModelCheckpoint(folder, "resume", monitor=None, every_n_epochs=1, enable_version_counter=False)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    trainer = lightning.Trainer(
        accelerator="gpu" if _device(settings.accelerator).type == "cuda" else "cpu",
        devices=1,
        precision=_precision(settings.accelerator),
        max_epochs=settings.epochs,
        deterministic=True,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        callbacks=[
            EpochReports(report, settings.epochs),
            EarlyStopping(rule.metric, patience=settings.patience, mode=rule.mode),
            best,
            resume,
        ],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    checkpoint = folder / "resume.ckpt"
    with warnings.catch_warnings():
        # a memory map needs no worker processes, and the other two are Lightning's own affairs
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
        trainer.fit(step, ckpt_path=checkpoint if checkpoint.exists() else None, weights_only=True)


def _device(accelerator: str) -> torch.device:
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("accelerator=gpu: PyTorch finds no GPU on this machine: set accelerator=auto or cpu")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")


def _precision(accelerator: str) -> str:
    if _device(accelerator).type == "cpu":
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def _checkpoint(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True)


def _network_weights(checkpoint: dict) -> dict[str, torch.Tensor]:
    tensors = checkpoint["state_dict"]
    return {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
