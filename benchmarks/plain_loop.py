"""The baseline: the training loop as most people write it. PIL in the data set, no cache, NCHW, float32, defaults.

It trains the same layers of the same network with the same loss, optimiser, schedule and augmentation as fairprof. It
imports nothing of how fairprof computes, and runs in a process of its own, whose threads and memory are PyTorch's
defaults.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

STAGES = {"head": (), "layer4": ("layer4",), "layer3": ("layer3", "layer4"), "layer2": ("layer2", "layer3", "layer4")}


class Faces(Dataset):
    """The image files of a folder; classes do not matter to the time that is measured, and are drawn at random."""

    def __init__(self, folder: str, transform):
        self.paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".png"))
        self.classes = np.random.default_rng(0).integers(0, 4, len(self.paths)).tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int):
        return self.transform(Image.open(self.paths[index]).convert("RGB")), self.classes[index]


def augmentation(size: int):
    return transforms.Compose(
        [
            transforms.Resize(round(size * 256 / 224)),
            transforms.RandomResizedCrop(size, scale=(0.9, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(0.2, 0.2, 0.2, 0.02)], p=0.3),
            transforms.RandomApply([transforms.GaussianBlur(3)], p=0.1),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            transforms.RandomErasing(p=0.1),
        ]
    )


def build(architecture: str, finetune: str) -> nn.Module:
    network = torchvision.models.get_model(architecture, weights=None)
    network.fc = nn.Sequential(
        nn.Dropout(0.5), nn.Linear(network.fc.in_features, 512), nn.ReLU(), nn.Dropout(0.3), nn.Linear(512, 4)
    )
    trained = (*STAGES[finetune], "fc")
    for name, child in network.named_children():
        child.requires_grad_(name in trained)
    return network


def train_mode(network: nn.Module) -> None:
    network.train()
    for child in network.children():
        if not any(parameter.requires_grad for parameter in child.parameters()):
            child.eval()


def step_seconds(
    folder: str, architecture: str, finetune: str, size: int, batch: int, steps: int, workers: int
) -> list[float]:
    """Seconds of each training step, data loading included."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build(architecture, finetune).to(device)
    train_mode(network)
    loader = DataLoader(
        Faces(folder, augmentation(size)), batch_size=batch, shuffle=True, drop_last=True, num_workers=workers
    )
    head = list(network.get_submodule("fc").parameters())
    body = [value for name, value in network.named_parameters() if value.requires_grad and not name.startswith("fc")]
    optimizer = torch.optim.AdamW(
        [group for group in ({"params": body, "lr": 5e-5}, {"params": head, "lr": 1e-4}) if group["params"]]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-4, total_steps=steps + 1)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    seconds: list[float] = []
    running_loss = 0.0
    while len(seconds) < steps:
        start = time.perf_counter()
        for images, classes in loader:
            images, classes = images.to(device), classes.to(device)
            share, partners = np.random.beta(0.2, 0.2), torch.randperm(len(images))
            optimizer.zero_grad()
            logits = network(share * images + (1 - share) * images[partners])
            loss = share * criterion(logits, classes) + (1 - share) * criterion(logits, classes[partners])
            loss.backward()
            optimizer.step()
            schedule.step()
            running_loss += loss.item()
            now = time.perf_counter()
            seconds.append(now - start)
            start = now
            if len(seconds) == steps:
                break
    return seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, kind in (("folder", str), ("architecture", str), ("finetune", str)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    for name in ("size", "batch", "steps", "workers"):
        parser.add_argument(f"--{name}", type=int, required=True)
    arguments = vars(parser.parse_args())
    print(json.dumps(step_seconds(**arguments)))
