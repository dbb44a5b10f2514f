"""The network: head, frozen blocks, stages, the Grad-CAM layer, and weights from everywhere they can come from."""

import copy
import functools
import hashlib
import http.server
import pickle
import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn
from torchvision.models import MobileNet_V2_Weights, get_model

from fairprof.errors import UserError
from fairprof.network.classifier import Classifier, build_classifier
from fairprof.network.parts import Boundary
from fairprof.network.weights import weights_digest

STEM = ["conv1", "bn1"]
RESNET50 = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}  # bottlenecks a stage, He et al. 2016, table 1


def resnet50_blocks(*stages: str) -> list[str]:
    return [f"{stage}.{number}" for stage in stages for number in range(RESNET50[stage])]


def backbone_of(network: nn.Module, head: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in network.state_dict().items() if not name.startswith(f"{head}.")}


def assert_same_tensors(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == []


def error_of(architecture: str = "mobilenet_v2", weights: str = "random") -> str:
    with pytest.raises(UserError) as caught:
        build_classifier(architecture, weights, "layer2", 4, seed=0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- head -------------------------------------------------------------------------------------------------------


def test_head_is_the_one_of_the_study():
    classifier = build_classifier("resnet50", "random", "layer2", 4, seed=0)
    assert classifier.head == "fc"
    head = classifier.network.fc
    assert [type(module) for module in head] == [nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert (head[0].p, head[3].p) == (0.5, 0.3)
    assert (head[1].in_features, head[1].out_features) == (2048, 512)
    assert (head[4].in_features, head[4].out_features) == (512, 4)


@pytest.mark.parametrize(
    ("architecture", "path", "features"),
    [("mobilenet_v2", "classifier.1", 1280), ("densenet121", "classifier", 1024), ("resnet18", "fc", 512)],
)
def test_head_takes_the_place_of_the_last_linear_layer(architecture, path, features):
    classifier = build_classifier(architecture, "random", "head", 6, seed=0)
    assert classifier.head == path
    assert classifier.network.get_submodule(f"{path}.1").in_features == features
    assert classifier.network.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 6)


# --- what is frozen ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finetune", "frozen"),
    [
        ("head", STEM + resnet50_blocks("layer1", "layer2", "layer3", "layer4")),
        ("layer4", STEM + resnet50_blocks("layer1", "layer2", "layer3")),
        ("layer3", STEM + resnet50_blocks("layer1", "layer2")),
        ("layer2", STEM + resnet50_blocks("layer1")),
        ("all", []),
    ],
)
def test_every_finetune_level_of_resnet50_freezes_the_blocks_below_it(finetune, frozen):
    classifier = build_classifier("resnet50", "random", finetune, 4, seed=0)
    assert list(classifier.frozen) == frozen
    for name, parameter in classifier.network.named_parameters():
        assert parameter.requires_grad != any(name.startswith(f"{block}.") for block in frozen), name


@pytest.mark.parametrize(
    ("architecture", "frozen"),
    [
        ("resnet18", ["conv1", "bn1", "layer1.0", "layer1.1", "layer2.0", "layer2.1"]),
        ("mobilenet_v2", [f"features.{number}" for number in range(7)]),  # 28 x 28 of 224 begin with features.4
        ("vgg11", [f"features.{number}" for number in (0, 3, 6, 8, 11, 13)]),
        (
            "densenet121",
            [f"features.{name}" for name in ("conv0", "norm0", "denseblock1", "transition1", "denseblock2")],
        ),
        ("convnext_tiny", [f"features.{number}" for number in range(4)]),
        ("efficientnet_b0", [f"features.{number}" for number in range(4)]),
    ],
)
def test_layer3_of_other_networks_freezes_what_works_at_an_eighth_or_finer(architecture, frozen):
    assert list(build_classifier(architecture, "random", "layer3", 4, seed=0).frozen) == frozen


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize(
    ("finetune", "stages"), [("layer2", ("layer2.", "layer3.", "layer4.")), ("layer3", ("layer3.", "layer4."))]
)
def test_training_mode_keeps_frozen_batch_norm_and_moves_the_trained_one(finetune, stages, copied):
    classifier = build_classifier("resnet18", "random", finetune, 4, seed=0)
    trainable = copy.deepcopy(classifier.trainable) if copied else classifier.trainable
    before = {name: value.clone() for name, value in classifier.network.named_buffers()}
    classifier.set_training(trainable)
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    trainable(classifier.prefix(images) if classifier.prefix else images)
    after = dict(classifier.network.named_buffers()) | dict(trainable.named_buffers())
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if name.startswith(stages)}
    assert len(changed) == 15 * len(stages)  # 5 batch norms with three buffers in each of these stages
    assert classifier.network.get_submodule("layer4.1.bn1").training != copied  # a copy's mode is its own


@pytest.mark.parametrize("copied", [False, True])
def test_training_mode_drops_out_in_the_head_even_where_all_else_is_frozen(copied):
    classifier = build_classifier("resnet18", "random", "head", 4, seed=0)
    trainable = copy.deepcopy(classifier.trainable) if copied else classifier.trainable
    classifier.set_training(trainable)
    assert trainable.get_submodule("fc.0").training and trainable.get_submodule("fc.3").training
    assert classifier.network.fc[0].training != copied
    batch_norms = [module for module in classifier.network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(batch_norms) == 20 and not any(module.training for module in batch_norms)


# --- the cut ----------------------------------------------------------------------------------------------------


def with_lived_statistics(classifier: Classifier) -> Classifier:
    """Batch norm that has seen a batch, so that activations of random weights do not vanish."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier.network.train()
        classifier.network(torch.randn(16, 3, 64, 64))
    classifier.network.eval()
    return classifier


@pytest.mark.parametrize("finetune", ["head", "layer4", "layer3"])
@pytest.mark.parametrize(
    "architecture", ["resnet18", "mobilenet_v2", "densenet121", "convnext_tiny", "efficientnet_b0"]
)
def test_prefix_and_trainable_part_compute_exactly_what_the_network_does(architecture, finetune):
    classifier = with_lived_statistics(build_classifier(architecture, "random", finetune, 4, seed=0))
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        entering, expected = classifier.prefix(images), classifier.network(images)
        assert torch.equal(classifier.trainable(entering), expected)
        others = classifier.trainable(entering.flip(0))
    assert not torch.equal(expected[0], expected[2])  # what enters matters
    torch.testing.assert_close(others, expected.flip(0), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("architecture", "finetune", "boundary"),
    [
        ("resnet18", "head", "fc"),
        ("resnet18", "layer4", "layer4.0"),
        ("resnet50", "layer3", "layer3.0"),
        ("mobilenet_v2", "layer3", "features.7"),
        ("mobilenet_v2", "head", "classifier.1"),
    ],
)
def test_network_is_cut_before_the_first_block_that_learns(architecture, finetune, boundary):
    classifier = build_classifier(architecture, "random", finetune, 4, seed=0)
    assert classifier.boundary == Boundary(boundary)
    assert classifier.part_behind(classifier.boundary) is classifier.trainable
    assert classifier.part_behind(None) is classifier.network


@pytest.mark.parametrize("finetune", ["head", "layer4", "layer3"])
@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v2"])
def test_what_learns_lies_behind_the_cut_and_all_before_it_is_frozen(architecture, finetune):
    classifier = build_classifier(architecture, "random", finetune, 4, seed=0)
    whole = classifier.network.state_dict(keep_vars=True)
    before = classifier.prefix.state_dict(keep_vars=True)
    behind = classifier.trainable.state_dict(keep_vars=True)
    assert before.keys().isdisjoint(behind) and before.keys() | behind.keys() == whole.keys()
    assert not any(value.requires_grad for value in before.values())
    assert all(value.requires_grad for value in behind.values() if isinstance(value, nn.Parameter))
    parts = before | behind
    assert [name for name, value in whole.items() if parts[name].data_ptr() != value.data_ptr()] == []


@pytest.mark.parametrize("finetune", ["layer2", "all"])
def test_network_of_which_most_learns_is_not_cut(finetune):
    classifier = build_classifier("resnet18", "random", finetune, 4, seed=0)
    assert classifier.boundary is None and classifier.prefix is None
    assert classifier.trainable is classifier.network is classifier.part_behind(None)


# --- the Grad-CAM layer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "layer", "channels"),
    [
        ("resnet18", "layer4.1", 512),
        ("resnet50", "layer4.2", 2048),
        ("mobilenet_v2", "features.18", 1280),
        ("vgg11", "features", 512),
        ("densenet121", "features.denseblock4", 1024),
        ("convnext_tiny", "features.7", 768),
        ("efficientnet_b0", "features.8", 1280),
    ],
)
def test_gradcam_layer_is_the_last_convolutional_block(architecture, layer, channels):
    classifier = build_classifier(architecture, "random", "layer2", 4, seed=0)
    assert classifier.gradcam_layer == layer
    calls: list[tuple[str, torch.Size]] = []

    def note(path, module, inputs, output):
        calls.append((path, output.shape))

    for path, module in classifier.network.named_modules():
        if path == layer or isinstance(module, nn.Conv2d):
            module.register_forward_hook(functools.partial(note, path))
    with torch.inference_mode():
        classifier.network.eval()(torch.zeros(1, 3, 224, 224))
    assert calls[-1] == (layer, (1, channels, 7, 7))  # no convolution runs after it


# --- architectures that cannot be used --------------------------------------------------------------------------


def test_unknown_architecture_is_an_error_that_lists_the_known_ones():
    message = error_of("resnet51")
    assert message.startswith("architecture=resnet51 is not a torchvision classifier")
    assert "resnet50" in message


@pytest.mark.parametrize("architecture", ["vit_b_16", "swin_t"])
def test_transformer_is_an_error(architecture):
    message = error_of(architecture)
    assert f"architecture={architecture} is a transformer" in message and "resnet50" in message


def test_network_that_ends_in_a_convolution_is_an_error():
    assert "architecture=squeezenet1_1 cannot take the study's head: it ends in Conv2d" in error_of("squeezenet1_1")


@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet:FutureWarning")  # torchvision's own
def test_network_with_auxiliary_classifiers_is_an_error():
    assert "architecture=googlenet cannot take the study's head: it has auxiliary" in error_of("googlenet")


# --- random weights ---------------------------------------------------------------------------------------------


def test_random_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = build_classifier("mobilenet_v2", "random", "layer2", 4, seed=3)
    torch.manual_seed(2)
    again = build_classifier("mobilenet_v2", "random", "head", 4, seed=3)
    other = build_classifier("mobilenet_v2", "random", "layer2", 4, seed=4)
    assert weights_digest(first.network) == weights_digest(again.network)
    assert weights_digest(first.network) != weights_digest(other.network)
    assert (first.weights.name, first.weights.sha256) == ("random", "")


def test_building_a_network_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_classifier("resnet18", "random", "layer2", 4, seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_digest_changes_with_a_single_weight_and_with_a_buffer():
    network = build_classifier("mobilenet_v2", "random", "layer2", 4, seed=0).network
    digests = {weights_digest(network)}
    with torch.no_grad():
        network.features[0][0].weight[0, 0, 0, 0] += 1e-6
    digests.add(weights_digest(network))
    network.features[0][1].running_mean[0] += 1e-6
    digests.add(weights_digest(network))
    assert len(digests) == 3


# --- weights from a file ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> dict[str, torch.Tensor]:
    """The state dict of torchvision's own MobileNet V2 with other random weights, running statistics included."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        network = get_model("mobilenet_v2", weights=None).train()
        network(torch.rand(4, 3, 64, 64))
    return network.state_dict()


def as_safetensors(tensors: dict, path: Path) -> Path:
    path = path.with_suffix(".safetensors")
    safetensors.torch.save_file(tensors, path)
    return path


def as_torch(content, path: Path) -> Path:
    torch.save(content, path)
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
    assert f"weights: {path} does not fit this architecture: 100 of 120 tensors are missing" in message
    assert message.endswith("the first is bn1.bias")


def test_tensor_of_another_shape_is_named(reference, tmp_path):
    changed = reference | {"features.5.conv.1.0.weight": torch.zeros(1, 2, 3, 4)}
    path = as_torch(changed, tmp_path / "weights.pth")
    message = error_of(weights=str(path))
    assert "1 of 312 tensors are missing or have another shape, the first is features.5.conv.1.0.weight" in message


# --- ImageNet weights -------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoints(tmp_path, monkeypatch) -> Path:
    """The folder of torch.hub's own cache, which is empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def published(reference, tmp_path) -> Path:
    """A file of weights whose name holds the start of its SHA-256, as on PyTorch's server."""
    path = as_torch(reference, tmp_path / "new.pth")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return path.rename(tmp_path / f"mobilenet_v2-{digest[:8]}.pth")


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments) -> None:
        pass


class Interrupted(QuietFiles):
    """Announces a whole file, and closes the connection in the middle of it."""

    def do_GET(self) -> None:
        content = (Path(self.directory) / self.path.lstrip("/")).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])


class InterruptedChunks(QuietFiles):
    """The same, in chunks, as a proxy sends them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"ffff\r\n" + b"x" * 100)
        self.close_connection = True


class Nonsense(QuietFiles):
    """Speaks another protocol."""

    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(b"220 mail.example.org ESMTP\r\n")


@contextmanager
def serving(folder: Path, handler=QuietFiles):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def imagenet_url(monkeypatch):
    """Sets where torchvision's weights of MobileNet V2 are downloaded from."""
    return lambda url: monkeypatch.setattr(MobileNet_V2_Weights.IMAGENET1K_V1.value, "url", url)


@pytest.fixture
def nobody_listens() -> str:
    with socket.create_server(("127.0.0.1", 0)) as closed_again:
        return f"http://127.0.0.1:{closed_again.getsockname()[1]}"


@pytest.mark.parametrize("weights", ["imagenet", "auto"])
def test_imagenet_weights_come_from_torchs_cache_without_a_network(
    weights, reference, checkpoints, imagenet_url, nobody_listens, capsys
):
    imagenet_url(f"{nobody_listens}/mobilenet_v2-b0353104.pth")
    checkpoints.mkdir(parents=True)
    path = as_torch(reference, checkpoints / "mobilenet_v2-b0353104.pth")
    classifier = build_classifier("mobilenet_v2", weights, "layer2", 4, seed=0)
    loaded = backbone_of(classifier.network, classifier.head)
    assert_same_tensors(loaded, {name: reference[name] for name in loaded})
    assert classifier.weights.name == "imagenet"
    assert classifier.weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize("weights", ["imagenet", "auto"])
def test_imagenet_weights_are_downloaded_and_kept(weights, reference, checkpoints, published, imagenet_url):
    with serving(published.parent) as url:
        imagenet_url(f"{url}/{published.name}")
        classifier = build_classifier("mobilenet_v2", weights, "layer2", 4, seed=0)
    loaded = backbone_of(classifier.network, classifier.head)
    assert_same_tensors(loaded, {name: reference[name] for name in loaded})
    assert [path.name for path in checkpoints.iterdir()] == [published.name]
    assert classifier.weights.sha256 == hashlib.sha256(published.read_bytes()).hexdigest()
    assert socket.getdefaulttimeout() is None
    again = build_classifier("mobilenet_v2", weights, "layer2", 4, seed=0)  # the server is gone
    assert weights_digest(again.network) == weights_digest(classifier.network)


def test_imagenet_without_a_network_is_an_error_that_says_where_to_put_the_file(
    checkpoints, imagenet_url, nobody_listens
):
    imagenet_url(f"{nobody_listens}/mobilenet_v2-b0353104.pth")
    message = error_of(weights="imagenet")
    assert f"put the file at {checkpoints / 'mobilenet_v2-b0353104.pth'}" in message
    assert f"{nobody_listens}/mobilenet_v2-b0353104.pth" in message
    assert list(checkpoints.iterdir()) == []


def test_auto_without_a_network_warns_and_starts_from_random_weights(checkpoints, imagenet_url, nobody_listens, capsys):
    imagenet_url(f"{nobody_listens}/mobilenet_v2-b0353104.pth")
    classifier = build_classifier("mobilenet_v2", "auto", "layer2", 4, seed=0)
    random = build_classifier("mobilenet_v2", "random", "layer2", 4, seed=0)
    assert classifier.weights == random.weights
    assert weights_digest(classifier.network) == weights_digest(random.network)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("fairprof: warning: ") and "random weights" in line
    assert f"put the file at {checkpoints / 'mobilenet_v2-b0353104.pth'}" in line


@pytest.mark.parametrize("handler", [Interrupted, InterruptedChunks, Nonsense])
def test_failed_download_is_an_error_and_leaves_no_half_file(handler, checkpoints, published, imagenet_url):
    with serving(published.parent, handler) as url:
        imagenet_url(f"{url}/{published.name}")
        message = error_of(weights="imagenet")
    assert f"put the file at {checkpoints / published.name}" in message
    assert list(checkpoints.iterdir()) == []


def test_file_that_the_server_does_not_have_is_an_error(checkpoints, published, imagenet_url):
    with serving(published.parent) as url:
        imagenet_url(f"{url}/other-{published.name}")
        assert "404" in error_of(weights="imagenet")
    assert list(checkpoints.iterdir()) == []


def test_download_whose_digest_differs_from_its_name_is_refused(checkpoints, published, imagenet_url):
    changed = published.with_name("mobilenet_v2-00000000.pth")
    changed.write_bytes(published.read_bytes())
    with serving(published.parent) as url:
        imagenet_url(f"{url}/{changed.name}")
        assert "invalid hash value" in error_of(weights="imagenet")
    assert list(checkpoints.iterdir()) == []
