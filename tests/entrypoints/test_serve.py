"""A model that was really trained, served by `mlflow models serve` on the loopback interface."""

import base64
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from tests.entrypoints.runs import MLFLOW_WARNS, artifact, runs_in

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

JSON = {"Content-Type": "application/json"}
START_SECONDS = 240  # imports take half a minute on a busy machine
REQUESTS, CLIENTS, MALFORMED = 200, 4, 1000
MEMORY_BOUND = 24 * 2**20  # bytes by which the server's processes may grow in the last nine tenths of the fuzz
MARKER = "5ecret"  # stands in whatever a malformed request carries: no answer may repeat it
HOLD_REGISTRY = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("update registered_models set description = 'held'")
print("held", flush=True)
sys.stdin.read()
connection.execute("rollback")
"""


@dataclass(frozen=True)
class Served:
    """A server, and what the run whose model it serves has predicted: image files with profession and probabilities."""

    port: int
    process: psutil.Process
    predictions: pd.DataFrame
    images: list[bytes]

    def ask(self, body: bytes | str, headers: dict, method: str = "POST", path: str = "/invocations"):
        """Status and text of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def memory(self) -> int:
        """Bytes of the server and its children."""
        processes = [self.process, *self.process.children(recursive=True)]
        return sum(process.memory_info().rss for process in processes)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def predicted(trained, synthetic_cache) -> tuple[pd.DataFrame, list[bytes]]:
    """What the run of design B has predicted of its test images, and these."""
    run = next(run for run in runs_in(trained) if run.data.tags["fairprof.design"] == "B")
    table = pd.read_parquet(artifact(trained, run, "predictions/test.parquet"))
    (labels,) = synthetic_cache.glob("synthetic-*/labels.csv")
    return table, [(labels.parent / image).read_bytes() for image in table["image"]]


@pytest.fixture(scope="module")
def served(trained, predicted, tmp_path_factory) -> Iterator[Served]:
    """`mlflow models serve` in another folder, without the project and without pickle, started while another process
    holds the registry's write lock."""
    table, images = predicted
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    port = free_port()
    names = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHONPATH"))}
    names |= {
        "MLFLOW_TRACKING_URI": f"sqlite:///{trained / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/fairprof-B@champion"]
    command += ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_REGISTRY, str(trained / "mlflow.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    with open(elsewhere / "log", "w") as log:
        process = subprocess.Popen(command, cwd=elsewhere, env=names, stdout=log, stderr=log, start_new_session=True)
    try:
        server = Served(port, psutil.Process(process.pid), table, images)
        deadline = time.monotonic() + START_SECONDS
        while not answers(server):
            assert process.poll() is None and time.monotonic() < deadline, (elsewhere / "log").read_text()[-3000:]
            time.sleep(0.2)
        with holder:
            holder.stdin.close()
        yield server
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)
        with holder:
            holder.stdin.close()
    said = (elsewhere / "log").read_text()
    assert "Traceback" not in said, said[-3000:]


def answers(server: Served) -> bool:
    try:
        return server.ask("", {}, "GET", "/ping")[0] == 200
    except OSError:
        return False


def text_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def well_formed(kind: int, images: list[bytes]) -> tuple[str | bytes, dict]:
    """Body and headers of a request, in one of the forms in turn."""
    texts = [text_of(content) for content in images]
    if kind == 6:
        return pd.DataFrame({"image": texts}).to_csv(index=False), {"Content-Type": "text/csv"}
    if kind == 7:
        buffer = io.BytesIO()
        pd.DataFrame({"image": images}).to_parquet(buffer)
        return buffer.getvalue(), {"Content-Type": "application/vnd.apache.parquet"}
    body = [
        {"dataframe_split": {"columns": ["image"], "data": [[text] for text in texts]}},
        {"dataframe_records": [{"image": text} for text in texts]},
        {"inputs": texts},
        {"inputs": {"image": texts}, "params": {"explain": True}},
        {"instances": texts, "params": {"invalid_rows": "report"}},
        {"instances": [{"image": text} for text in texts]},
    ][kind]
    return json.dumps(body), JSON


def require_logged_predictions(server: Served, rows: np.ndarray, kind: int) -> None:
    status, text = server.ask(*well_formed(kind, [server.images[row] for row in rows]))
    assert status == 200, text
    answer = pd.DataFrame(json.loads(text)["predictions"])
    logged = server.predictions.iloc[rows]
    assert answer["profession"].tolist() == logged["y_pred"].tolist()
    columns = [name for name in logged if name.startswith("probability_")]
    np.testing.assert_allclose(answer[columns].to_numpy(float), logged[columns].to_numpy(float), atol=1e-3)
    assert ("gradcam" in answer) == (kind == 3)


def test_several_clients_get_the_labels_that_the_run_has_logged(served):
    generator = np.random.default_rng(0)
    asked = [generator.integers(0, len(served.images), generator.integers(1, 5)) for _ in range(REQUESTS)]
    with ThreadPoolExecutor(CLIENTS) as clients:
        for done in [
            clients.submit(require_logged_predictions, served, rows, number % 8) for number, rows in enumerate(asked)
        ]:
            done.result(timeout=240)


# --- fuzz -------------------------------------------------------------------------------------------------------


class Fuzz:
    """Malformed requests, drawn from a seed: body, headers, method and path. Some name a picture or an address."""

    def __init__(self, seed: int, images: list[bytes], named: list[str]):
        self.generator = np.random.default_rng(seed)
        self.good = [text_of(content) for content in images]
        self.images = images
        self.named = named
        self.kinds = [
            self.bad_rows,
            self.bad_rows,
            self.bad_rows,
            self.truncated,
            self.noise,
            self.another_shape,
            self.another_column,
            self.wrong_params,
            self.wrong_headers,
            self.nested,
            self.not_text,
            self.table,
            self.elsewhere,
            self.too_many,
        ]

    def request(self) -> tuple[str | bytes, dict, str, str]:
        body, headers, *rest = self.pick(self.kinds)()
        return body, headers, *(rest or ("POST", "/invocations"))

    def pick(self, choices):
        return choices[self.generator.integers(len(choices))]

    def noise_bytes(self, most: int = 400) -> bytes:
        return self.generator.bytes(self.generator.integers(0, most))

    def bad_value(self):
        return self.pick(
            [
                lambda: None,
                lambda: float("nan"),
                lambda: int(self.generator.integers(-(10**9), 10**9)),
                lambda: True,
                lambda: "",
                lambda: f"{MARKER} {self.generator.integers(10**9)}",
                lambda: self.pick(self.named),
                lambda: text_of(MARKER.encode() + self.noise_bytes()),
                lambda: text_of(self.pick(self.images)[: self.generator.integers(1, 700)]),
                lambda: self.pick(self.good)[:-1] + "*",
                lambda: [MARKER],
                lambda: {"b64": self.pick(self.good), "text": MARKER},
                lambda: text_of(b"P6 40000 40000 255\n" + self.noise_bytes()),
                lambda: "data:image/jpeg;base64," + self.pick(self.good),
            ]
        )()

    def bad_rows(self):
        values = [self.pick(self.good) for _ in range(self.generator.integers(0, 4))] + [self.bad_value()]
        self.generator.shuffle(values)
        return self.pick(
            [
                lambda: json.dumps({"inputs": values}),
                lambda: json.dumps({"inputs": {"image": values}}),
                lambda: json.dumps({"dataframe_split": {"columns": ["image"], "data": [[value] for value in values]}}),
                lambda: json.dumps({"dataframe_records": [{"image": value} for value in values]}),
                lambda: json.dumps({"instances": [{"image": value} for value in values]}),
            ]
        )(), JSON

    def truncated(self):
        whole = json.dumps({"dataframe_split": {"columns": ["image"], "data": [[self.pick(self.good)]]}})
        return whole[: self.generator.integers(0, len(whole))], JSON

    def noise(self):
        return b"\xff" + MARKER.encode() + self.noise_bytes(5000), JSON

    def another_shape(self):
        value = self.pick([None, 3, MARKER, [], [[]], {}, {"data": 1}, [[MARKER]], {"image": []}, [{"a": MARKER}]])
        key = self.pick(["inputs", "instances", "dataframe_split", "dataframe_records", "messages", "input", "prompt"])
        body = {key: value} if self.generator.random() < 0.7 else {key: value, "inputs" if key != "inputs" else "x": 1}
        return json.dumps(self.pick([body, [body], value])), JSON

    def another_column(self):
        name = self.pick(["picture", "Image", "image ", "", "0"])
        return json.dumps({"dataframe_split": {"columns": [name], "data": [[self.pick(self.good)]]}}), JSON

    def wrong_params(self):
        params = self.pick(
            [MARKER, [1], 7, {"explain": MARKER}, {"explain": 1}, {"invalid_rows": MARKER}, {"unknown": MARKER}]
        )
        return json.dumps({"inputs": [self.pick(self.good)], "params": params}), JSON

    def wrong_headers(self):
        body = json.dumps({"inputs": [self.pick(self.good)]})
        return body, self.pick(
            [
                {},
                {"Content-Type": "image/jpeg"},
                {"Content-Type": MARKER},
                {"Content-Type": "application/json; charset=latin-1"},
                JSON | {"Content-Encoding": "gzip"},
                {"Content-Type": "text/csv"},
                {"Content-Type": "application/vnd.apache.parquet"},
            ]
        )

    def nested(self):
        levels = int(self.generator.integers(1_000, 60_000))
        opened, closed = self.pick([("[", "]"), ('{"image":', "}")])
        return '{"inputs":' + opened * levels + "1" + closed * levels + "}", JSON

    def not_text(self):
        return self.pick(
            [
                (b'{"inputs": ["\xff\xfe' + MARKER.encode() + b'"]}', JSON),
                ('{"inputs": [' + "7" * 6000 + "]}", JSON),
                ('{"inputs": [-1e999, Infinity, NaN]}', JSON),
                ('{"inputs": ["a"], "inputs": ["' + MARKER + '"]}', JSON),
                ('{"inputs": ["\\ud800"]}', JSON),
                ("", JSON),
            ]
        )

    def table(self):
        content = self.pick(
            [
                b"",
                b"image\n",
                b"image\n" + MARKER.encode() + b"\n",
                b"image,image\nx,y,z\n1\n",
                b'a,b\n"' + MARKER.encode(),
                b"image\n\xff\xff",
                b"PAR1" + self.noise_bytes(3000) + b"PAR1",
                self.noise_bytes(3000),
            ]
        )
        return content, {"Content-Type": self.pick(["text/csv", "application/vnd.apache.parquet"])}

    def elsewhere(self):
        method, path = self.pick(
            [("GET", "/invocations"), ("PUT", "/invocations"), ("POST", "/x"), ("DELETE", "/ping")]
        )
        return json.dumps({"inputs": [MARKER]}), JSON, method, path

    def too_many(self):
        return json.dumps({"inputs": [MARKER] * int(self.generator.integers(257, 30_000))}), JSON


def test_a_thousand_malformed_requests_are_refused_in_one_line_each(served, tmp_path):
    picture = tmp_path / "face.png"
    Image.open(io.BytesIO(served.images[0])).save(picture)
    with socket.create_server(("127.0.0.1", 0)) as canary:
        address = f"127.0.0.1:{canary.getsockname()[1]}/face.png"
        named = [str(picture), f"file://{picture}", f"http://{address}", f"https://{address}", f"s3://{address}"]
        fuzz = Fuzz(7, served.images[:20], named)
        statuses, warm = [], 0
        for number in range(MALFORMED):
            if number == MALFORMED // 10:
                warm = served.memory()
            request = fuzz.request()
            status, text = served.ask(*request)
            statuses.append(status)
            assert 400 <= status < 500, (status, text, str(request)[:300])
            assert len(text.splitlines()) == 1 and len(text) < 2500, (text, str(request)[:300])
            for word in ("Traceback", MARKER, str(picture), address):
                assert word not in text, (text, str(request)[:300])
        grown = served.memory() - warm
        canary.settimeout(0.2)
        with pytest.raises(TimeoutError):  # nobody has called
            canary.accept()
    assert set(statuses) >= {400, 404, 405, 413, 415}
    assert grown < MEMORY_BOUND, f"{grown / 2**20:.0f} MiB"
    for kind in range(8):
        require_logged_predictions(served, np.arange(kind, kind + 3), kind)
