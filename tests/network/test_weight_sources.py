"""Where weights come from: torchvision's and timm's, a hub on this machine, files and folders; and what is refused."""

import functools
import hashlib
import http.server
import json
import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from huggingface_hub import constants
from torchvision.models import MobileNet_V2_Weights

from fairprof.network.architectures import preprocessing_of
from fairprof.network.classifier import build_classifier
from fairprof.network.weight_sources import find_weights, preprocessing_with
from fairprof.network.weights import load_backbone, read_state_dict, weights_digest
from fairprof.serving import Preprocessing
from tests.network.state_dicts import as_torch, assert_same_tensors, backbone_of, error_of

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


# --- timm's weights and Hugging Face's hub ------------------------------------------------------------------------

COMMIT = "0123456789" * 4
TIMM = "timm:test_vit.r160_in1k"


class Hub(http.server.BaseHTTPRequestHandler):
    """Files of repositories, answered as Hugging Face's hub does: their digest and the commit among the headers."""

    files: dict[str, bytes]
    asked: list[str]

    def answer(self, with_content: bool) -> None:
        self.asked.append(self.path)
        content = self.files.get(self.path)
        self.send_response(404 if content is None else 200)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if with_content:
            self.wfile.write(content or b"")

    def do_HEAD(self) -> None:
        self.answer(with_content=False)

    def do_GET(self) -> None:
        self.answer(with_content=True)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def hub_at(tmp_path, monkeypatch):
    """Sets the address of Hugging Face's hub, whose local cache is empty."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def at(url: str) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/{revision}/{filename}")

    return at


@contextmanager
def hub(hub_at, files: dict[str, bytes]):
    """A hub with these files, by repository, revision and name; yields the paths that it was asked for."""
    handler = type("OneHub", (Hub,), {"files": files, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hub_at(f"http://127.0.0.1:{server.server_port}")
    try:
        yield handler.asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def small_vit() -> bytes:
    """A file of weights for timm's smallest vision transformer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return safetensors.torch.save(timm.create_model("test_vit").state_dict())


def test_timms_weights_are_those_of_the_tag_and_come_from_the_hub_once(hub_at, nobody_listens, small_vit):
    with hub(hub_at, {"/timm/test_vit.r160_in1k/main/model.safetensors": small_vit}):
        found, path = find_weights(TIMM, "pretrained")
    assert path.read_bytes() == small_vit
    assert (found.name, found.sha256) == ("pretrained", hashlib.sha256(small_vit).hexdigest())
    assert (found.licence, found.origin) == ("apache-2.0", f"hf-hub:timm/test_vit.r160_in1k@{COMMIT}")
    hub_at(nobody_listens)
    for weights in ("pretrained", "auto"):
        assert find_weights(TIMM, weights) == (found, path)
    assert find_weights("timm:test_vit", "pretrained") == (found, path)  # its first tag
    network = timm.create_model("test_vit")
    loaded = load_backbone(network, read_state_dict(path), "head", path)
    assert (loaded.share, loaded.missing, sorted(loaded.unused)) == (1, (), ["head.bias", "head.weight"])


def test_timms_weights_without_a_network_are_an_error_that_says_what_to_do(hub_at, nobody_listens, refused, capsys):
    hub_at(nobody_listens)
    with refused("model.safetensors of hf-hub:timm/test_vit.r160_in1k", "hf download timm/test_vit.r160_in1k"):
        find_weights(TIMM, "pretrained")
    found, path = find_weights(TIMM, "auto")
    assert (found.name, path) == ("random", None)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("fairprof: warning: model.safetensors of hf-hub") and "starts from random weights" in line


@pytest.mark.parametrize(
    ("architecture", "weights", "texts"),
    [
        ("timm:test_vit.nonsense", "pretrained", ["no such weights of test_vit", "timm:test_vit.r160_in1k"]),
        ("timm:test_vitt", "pretrained", ["timm has no model of this name", "timm:test_vit"]),
        ("timm:botnet50ts_256", "pretrained", ["timm has no weights for timm:botnet50ts_256", "random or a file"]),
        (TIMM, "imagenet", ["torchvision's", "weights=pretrained", "tag"]),
    ],
)
def test_weights_that_timm_does_not_have_are_refused(architecture, weights, texts, refused):
    with refused(*texts):
        find_weights(architecture, weights)


def test_pretrained_means_imagenet_where_torchvision_publishes_nothing_else(
    reference, checkpoints, imagenet_url, nobody_listens
):
    imagenet_url(f"{nobody_listens}/mobilenet_v2-b0353104.pth")
    checkpoints.mkdir(parents=True)
    as_torch(reference, checkpoints / "mobilenet_v2-b0353104.pth")
    assert find_weights("mobilenet_v2", "pretrained") == find_weights("mobilenet_v2", "imagenet")
    assert find_weights("mobilenet_v2", "pretrained")[0].name == "imagenet"


def test_a_revision_of_a_repository_is_pinned_and_says_its_licence(hub_at, nobody_listens, small_vit):
    asked_for = "hf-hub:someone/some-vit@v1.0"
    files = {
        "/someone/some-vit/v1.0/model.safetensors": small_vit,
        f"/someone/some-vit/{COMMIT}/README.md": b"---\nlicense: cc-by-nc-4.0\ntags:\n- timm\n---\nlicense: mit\n",
    }
    with hub(hub_at, files):
        found, path = find_weights(TIMM, asked_for)
    assert path.read_bytes() == small_vit
    assert (found.name, found.licence) == (asked_for, "cc-by-nc-4.0")
    assert found.origin == f"hf-hub:someone/some-vit@{COMMIT}"
    hub_at(nobody_listens)
    assert find_weights(TIMM, asked_for) == (found, path)


def test_a_repository_without_a_file_of_weights_is_an_error_that_says_which_were_looked_for(hub_at, refused):
    with hub(hub_at, {}) as asked, refused("none of the files model.safetensors, pytorch_model.bin", "@v1.0"):
        find_weights(TIMM, "hf-hub:someone/nothing@v1.0")
    assert sum("/someone/nothing/v1.0/" in path for path in asked) == 4


# --- what becomes of images ---------------------------------------------------------------------------------------

STATED = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3], "crop_pct": 1.0}
AS_STATED = Preprocessing((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), 1.0)


def test_images_are_seen_as_the_folder_states_that_timm_has_written(tmp_path, capsys):
    network = timm.create_model("test_vit")
    timm.models.save_for_hf(network, tmp_path, model_config={"pretrained_cfg": STATED}, safe_serialization=True)
    weights = f"local-dir:{tmp_path}"
    assert find_weights(TIMM, weights)[0].preprocessing == AS_STATED
    assert preprocessing_with(TIMM, weights) == AS_STATED
    classifier = build_classifier(TIMM, weights, "head", 4, 0, 32)
    assert classifier.preprocessing == AS_STATED
    said = "Images are seen as the config.json of these weights states it: mean 0.5, 0.4, 0.3, standard deviation 0.2, "
    assert said + "0.25, 0.3, crop 1" in capsys.readouterr().out
    assert said in classifier.weights.told()


def test_images_are_seen_as_a_repository_on_the_hub_states_it(hub_at, small_vit):
    config = json.dumps({"architecture": "test_vit", **STATED}).encode()  # as older versions of timm write it
    files = {
        "/someone/a-vit/v1.0/model.safetensors": small_vit,
        f"/someone/a-vit/{COMMIT}/config.json": config,
    }
    with hub(hub_at, files):
        assert preprocessing_with(TIMM, "hf-hub:someone/a-vit@v1.0") == AS_STATED


def test_what_a_config_leaves_out_or_has_as_the_architecture_is_the_architectures(tmp_path, small_vit):
    (tmp_path / "model.safetensors").write_bytes(small_vit)
    weights, own = f"local-dir:{tmp_path}", preprocessing_of(TIMM)
    assert preprocessing_with(TIMM, weights) == own  # no config at all
    same = {"mean": list(own.mean), "std": list(own.standard_deviation), "crop_pct": own.crop}
    for stated in ({}, same, {"pretrained_cfg": same}, {"architectures": ["ViTModel"], "image_size": 224}):
        (tmp_path / "config.json").write_text(json.dumps(stated))
        found, path = find_weights(TIMM, weights)
        assert (found.preprocessing, found.damage, found.identity) == (None, "", found.sha256)
        assert preprocessing_with(TIMM, weights) == own
        assert find_weights(TIMM, str(path))[0].identity == found.identity  # the file alone
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": {"crop_pct": 0.5}}))
    assert preprocessing_with(TIMM, weights) == Preprocessing(own.mean, own.standard_deviation, 0.5)
    (tmp_path / "config.json").write_text(json.dumps(STATED))
    assert preprocessing_with("resnet18", weights) == AS_STATED  # whatever architecture is to take them
    assert preprocessing_with(TIMM, str(path)) == own


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{", "it is no JSON"),
        ("[" * 10_000, "it is no JSON"),
        ("[]", "it does not hold fields by name"),
        ('{"pretrained_cfg": null}', "it does not hold fields by name"),
        ('{"mean": [0.5, 0.5]}', "mean does not hold a number for each of three channels"),
        ('{"mean": 0.5}', "mean does not hold a number for each of three channels"),
        ('{"mean": [0.5, 0.5, "0.5"]}', "mean holds what is no number"),
        ('{"mean": [0.5, 0.5, NaN]}', "mean holds what is no number"),
        ('{"std": [0.5, 0.5, 0]}', "std holds what is not above 0"),
        ('{"crop_pct": 1.5}', "crop_pct is no share from 0.1 to 1"),
        ('{"crop_pct": true}', "crop_pct holds what is no number"),
    ],
)
def test_a_damaged_config_is_said_and_the_architectures_is_taken(config, reason, tmp_path, small_vit, capsys):
    (tmp_path / "model.safetensors").write_bytes(small_vit)
    (tmp_path / "config.json").write_text(config)
    weights = f"local-dir:{tmp_path}"
    classifier = build_classifier(TIMM, weights, "head", 4, 0, 32)
    assert classifier.preprocessing == preprocessing_of(TIMM) == preprocessing_with(TIMM, weights)
    said = f"Their config.json is damaged ({reason}): mean, standard deviation and crop of the images are the architect"
    assert said in capsys.readouterr().out and said in classifier.weights.told()


# --- folders and licences -----------------------------------------------------------------------------------------


def licence_of(weights: object) -> str:
    return find_weights(TIMM, str(weights))[0].licence


def test_a_folder_as_timm_writes_it_is_read_with_its_licence(tmp_path, small_vit):
    (tmp_path / "model.safetensors").write_bytes(small_vit)
    (tmp_path / "pytorch_model.bin").write_bytes(b"another copy")
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": {"license": "mit"}}))
    found, path = find_weights(TIMM, f"local-dir:{tmp_path}")
    assert path == tmp_path / "model.safetensors"
    assert (found.name, found.licence, found.origin) == (f"local-dir:{tmp_path}", "mit", "")


def test_the_licence_is_what_weights_state_themselves(tmp_path):
    stated = tmp_path / "stated.safetensors"
    safetensors.torch.save_file({"a": torch.ones(1)}, stated, {"license": "Apache\n2.0"})
    assert licence_of(stated) == "Apache 2.0"
    silent = tmp_path / "silent.safetensors"
    safetensors.torch.save_file({"a": torch.ones(1)}, silent)
    assert licence_of(silent) == ""
    assert licence_of(as_torch({"a": torch.ones(1)}, tmp_path / "weights.pth")) == ""


@pytest.mark.parametrize("config", ["", "[]", "{", '{"license": 3}', '{"pretrained_cfg": null}', "[" * 10_000])
@pytest.mark.parametrize("card", [b"", b"license: mit", b"---\nlicence: mit\n---", b"---\nlicense:\n- a\n---", b"\xff"])
def test_what_states_no_licence_states_none(config, card, tmp_path):
    as_torch({"a": torch.ones(1)}, tmp_path / "model.pth")
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "README.md").write_bytes(card)
    assert licence_of(f"local-dir:{tmp_path}") == ""


@pytest.mark.parametrize(
    ("names", "texts"),
    [
        ((), ["holds no file of weights", ".safetensors"]),
        (("config.json",), ["holds no file of weights"]),
        (("a.pth", "b.pth"), ["several files of weights (a.pth, b.pth)", "set weights to one"]),
    ],
)
def test_a_folder_in_which_no_file_is_meant_is_refused(names, texts, tmp_path, refused):
    for name in names:
        (tmp_path / name).touch()
    with refused(f"weights=local-dir:{tmp_path}", *texts):
        find_weights(TIMM, f"local-dir:{tmp_path}")


def test_a_folder_that_is_not_there_is_told(tmp_path, refused):
    with refused("local-dir:", "there is no such folder"):
        find_weights(TIMM, f"local-dir:{tmp_path / 'nothing'}")
