"""Weights from files of many kinds, and what is refused."""

import functools
import hashlib
import os
import pickle
import resource
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from fairprof.network.classifier import build_classifier
from fairprof.network.weights import weights_digest
from tests.network.state_dicts import as_torch, assert_same_tensors, backbone_of, error_of


def test_digest_changes_with_a_single_weight_and_with_a_buffer():
    network = build_classifier("mobilenet_v2", "random", "layer2", 4, seed=0).network
    digests = {weights_digest(network)}
    with torch.no_grad():
        network.features[0][0].weight[0, 0, 0, 0] += 1e-6
    digests.add(weights_digest(network))
    network.features[0][1].running_mean[0] += 1e-6
    digests.add(weights_digest(network))
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("weights", "finetune", "warned"), [("random", "head", True), ("random", "layer4", False), ("random", "all", False)]
)
def test_a_head_on_a_backbone_that_stays_random_is_warned_of(capsys, weights, finetune, warned):
    build_classifier("mobilenet_v2", weights, finetune, 4, seed=0)
    lines = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert len(lines) == warned
    assert all("weights=random with finetune=head" in line and "finetune=all" in line for line in lines)


# --- weights from a file ----------------------------------------------------------------------------------------


def as_safetensors(tensors: dict, path: Path, suffix: str = ".safetensors") -> Path:
    path = path.with_suffix(suffix)
    safetensors.torch.save_file(tensors, path)
    return path


def momentum_contrast(tensors: dict, path: Path) -> Path:
    """A checkpoint as MoCo leaves it: a prefix, nested, with a foreign head and things that are no tensors."""
    content = {f"module.encoder_q.{name}": value for name, value in tensors.items() if "classifier" not in name}
    content["module.encoder_q.fc.0.weight"] = torch.zeros(3, 3)
    return as_torch({"epoch": 200, "arch": "mobilenet_v2", "state_dict": content}, path)


WRITERS = {
    "plain": as_torch,
    "under state_dict": lambda tensors, path: as_torch({"state_dict": tensors}, path),
    "under model": lambda tensors, path: as_torch({"model": dict(tensors), "optimizer": {}}, path),
    "prefixed and nested": momentum_contrast,
    "data parallel": lambda tensors, path: as_torch({f"module.{name}": part for name, part in tensors.items()}, path),
    "safetensors": as_safetensors,
    "SAFETENSORS": functools.partial(as_safetensors, suffix=".SAFETENSORS"),
    "before PyTorch 1.6": lambda tensors, path: as_torch(tensors, path, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_backbone_comes_from_the_file_and_the_head_does_not(kind, reference, tmp_path):
    path = WRITERS[kind](reference, tmp_path / "weights.pth")
    classifier = build_classifier("mobilenet_v2", str(path), "layer2", 4, seed=0)
    loaded = backbone_of(classifier.network, classifier.head)
    assert len(loaded) == 312  # 52 convolutions and 52 batch norms with five tensors
    assert_same_tensors(loaded, {name: reference[name] for name in loaded})
    random = build_classifier("mobilenet_v2", "random", "layer2", 4, seed=0).network
    assert_same_tensors(classifier.network.classifier.state_dict(), random.classifier.state_dict())


def test_file_is_recorded_with_its_sha256(reference, tmp_path):
    path = as_torch(reference, tmp_path / "weights.pth")
    weights = build_classifier("mobilenet_v2", str(path), "layer2", 4, seed=0).weights
    assert weights.name == str(path)
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_half_precision_weights_become_float32_of_equal_value(reference, tmp_path):
    halves = {name: value.half() if value.is_floating_point() else value for name, value in reference.items()}
    path = as_torch(halves, tmp_path / "weights.pth")
    network = build_classifier("mobilenet_v2", str(path), "layer2", 4, seed=0).network
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32, torch.int64}
    weight = network.features[0][0].weight
    assert torch.equal(weight, halves["features.0.0.weight"].float())
    assert not torch.equal(weight, reference["features.0.0.weight"])


def test_head_of_equal_shape_in_the_file_is_not_loaded(tmp_path):
    other = build_classifier("mobilenet_v2", "random", "layer2", 4, seed=7).network
    path = as_torch(other.state_dict(), tmp_path / "weights.pth")
    classifier = build_classifier("mobilenet_v2", str(path), "layer2", 4, seed=0)
    assert not torch.equal(classifier.network.classifier[1][4].weight, other.classifier[1][4].weight)
    assert torch.equal(classifier.network.features[0][0].weight, other.features[0][0].weight)


def test_shared_backbone_of_resnet50_is_loaded_whole(shared):
    path = shared / "weights" / "resnet50_backbone_fp16.pth"
    classifier = build_classifier("resnet50", str(path), "layer2", 4, seed=0)
    content = torch.load(path, map_location="cpu", weights_only=True)
    loaded = backbone_of(classifier.network, "fc")
    floats = {name: value for name, value in loaded.items() if value.is_floating_point()}
    assert len(floats) == 53 + 4 * 53  # convolutions, and four tensors of every batch norm
    assert_same_tensors(floats, {name: content[name].float() for name in floats})
    assert classifier.weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_missing_file_is_an_error_that_says_what_to_give(tmp_path):
    message = error_of(weights=str(tmp_path / "nothing.pth"))
    assert f"no file {tmp_path / 'nothing.pth'}" in message and "random" in message


@pytest.mark.parametrize("name", ["garbage.pth", "garbage.safetensors"])
def test_garbage_is_an_error_that_names_the_file(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"this is not a checkpoint\n" * 100)
    assert f"weights: {path} is not a state dict of tensors" in error_of(weights=str(path))


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), "text"], ids=["list", "tensor", "text"])
def test_checkpoint_of_something_else_is_an_error(content, tmp_path):
    path = as_torch(content, tmp_path / "other.pth")
    assert "is not a state dict of tensors" in error_of(weights=str(path))


class Payload:
    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return Path.mkdir, (self.folder,)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_a_torchscript_archive_is_told_how_to_be_used(tmp_path):
    path = tmp_path / "ViT-B-32.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    message = error_of(weights=str(path))
    assert "is a TorchScript archive" in message and 'torch.jit.load("ViT-B-32.pt", "cpu").state_dict()' in message


@pytest.mark.parametrize("save", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))])
def test_code_in_a_pickle_is_never_run(save, tmp_path):
    path, sign = tmp_path / "evil.pth", tmp_path / "executed"
    save({"state_dict": Payload(sign)}, path)
    assert f"weights: {path} is not a state dict" in error_of(weights=str(path))
    assert not sign.exists()
    pickle.loads(pickle.dumps(Payload(sign)))
    assert sign.exists()  # the payload works where pickles are trusted


def test_weights_of_another_architecture_are_an_error_that_names_the_first_missing_tensor(reference, tmp_path):
    path = as_torch(reference, tmp_path / "weights.pth")
    message = error_of("resnet18", str(path))
    # 20 convolutions and 20 batch norms with four tensors; their counters of batches may be absent
    assert f"weights: {path} does not fit this architecture: it fills 0.0 % of the backbone's parameters" in message
    assert message.endswith(
        "100 of 120 tensors are missing or have another shape: conv1.weight, bn1.weight, bn1.bias and 97 more"
    )


def test_tensor_of_another_shape_is_named(reference, tmp_path):
    changed = reference | {"features.5.conv.1.0.weight": torch.zeros(1, 2, 3, 4)}
    path = as_torch(changed, tmp_path / "weights.pth")
    message = error_of(weights=str(path))
    assert message.endswith("the tensor features.5.conv.1.0.weight is 1 x 2 x 3 x 4 and not 192 x 1 x 3 x 3")


NAMED = "features.5.conv.1.0.weight"


def changed(change, name: str = NAMED):
    return lambda tensors: tensors | {name: change(tensors[name])}


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated", "ignore:.*[Ss]parse", "ignore:.*quantiz")
@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (lambda tensors: dict(enumerate(tensors.values())), ["under the key 0", "state_dict()"]),
        (lambda tensors: tensors | {(1, "a"): tensors[NAMED]}, ["under the key (1, 'a')"]),
        (changed(torch.Tensor.to_sparse), [NAMED, "sparse", ".to_dense()"]),
        (changed(lambda tensor: tensor.to("meta")), [NAMED, "no values", "meta"]),
        (changed(lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)), [NAMED, ".dequantize()"]),
        (changed(lambda tensor: tensor.to(torch.complex64)), [NAMED, "complex64", "float32"]),
        (changed(lambda tensor: tensor.to(torch.int8)), [NAMED, "int8", "float32"]),
        (changed(lambda tensor: tensor.bool()), [NAMED, "bool", "float32"]),
        (changed(lambda tensor: tensor * float("nan")), [NAMED, "not finite"]),
        (changed(lambda tensor: tensor.double() * 1e300), [NAMED, "not finite"]),
        (changed(lambda tensor: torch.tensor(1.0)), [NAMED, "a single number"]),
        (changed(lambda tensor: torch.zeros(1).expand(2**40)), [NAMED, "1099511627776 and not 192 x 1 x 3 x 3"]),
        (changed(lambda tensor: -1 - tensor, "features.0.1.running_var"), ["running_var", "negative"]),
        (changed(lambda tensor: tensor + 1j, "features.0.1.num_batches_tracked"), ["num_batches_tracked", "complex64"]),
    ],
    ids="numbers tuples sparse meta quantised complex int8 bool nan overflow 0-d enormous variance counter".split(),
)
def test_a_tensor_that_cannot_be_used_is_named_with_what_to_do(change, texts, reference, tmp_path):
    message = error_of(weights=str(as_torch(change(dict(reference)), tmp_path / "weights.pth")))
    assert [text for text in ["weights.pth", *texts] if text not in message] == [], message


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_small_file_that_asks_for_much_memory_is_refused_before_it_gets_it(kind, tmp_path):
    bomb = b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + (2**34).to_bytes(5, "little") + b"\x85R."  # 16 GiB of zeros
    path = tmp_path / "bomb.pth"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("bomb/data.pkl", bomb)
            file.writestr("bomb/version", "3")
    else:
        magic_number, protocol = 0x1950A86A20F9469CFC6C, 1001
        path.write_bytes(b"".join(pickle.dumps(part, 2) for part in (magic_number, protocol, {})) + bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "more memory" in error_of(weights=str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("make", "texts"),
    [
        (lambda path: os.mkfifo(path), ["a named pipe and not a regular file"]),
        (lambda path: path.symlink_to("/dev/zero"), ["a device and not a regular file"]),
        (lambda path: path.symlink_to(path.name), ["circle"]),
        (lambda path: path.mkdir(), ["a folder and not a file"]),
        (lambda path: path.touch() or os.truncate(path, 40 * 2**30), ["42,949,672,960 bytes"]),
    ],
    ids=["pipe", "device", "loop", "folder", "sparse"],
)
def test_what_is_no_regular_file_of_moderate_size_is_not_read(make, texts, tmp_path):
    path = tmp_path / "weights.pth"
    make(path)
    message = error_of(weights=str(path))
    assert [text for text in [str(path), "imagenet", *texts] if text not in message] == [], message


def test_a_home_folder_that_nobody_has_is_told(refused):
    with refused("weights=~nosuchuser/w.pth", "~nosuchuser", "write the path out"):
        build_classifier("mobilenet_v2", "~nosuchuser/w.pth", "layer2", 4, seed=0)
