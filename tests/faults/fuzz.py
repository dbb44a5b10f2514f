"""Requests to the served model, made and damaged: the answer is 200 or a 4xx in one line, soon, in little memory."""

import base64
import csv
import functools
import http.client
import importlib
import io
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import psutil
import pyarrow
import pyarrow.parquet
import uvicorn
from mlflow.pyfunc import scoring_server
from PIL import Image

from tests.faults.attempts import Failed
from tests.faults.campaign import Kind
from tests.faults.stage import Stage
from tests.faults.worlds import World, copied

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
AT_ONCE = 250  # requests an attempt
SECONDS = 20.0  # for one request
MEMORY = 2**30  # bytes by which requests may let the server grow


def kinds(stage: Stage) -> list[Kind]:
    return [Kind("requests", 2000, functools.partial(_drawn, stage))]


def _drawn(stage: Stage, number: int, generator: np.random.Generator):
    """To MLflow's own scoring server in every fourth attempt, to the function behind it in the others."""
    server = number % 4 == 0
    name = f"{AT_ONCE} requests {'over HTTP' if server else 'in process'}"
    return name, functools.partial(_asked, stage.used, server, generator)


def _asked(used: World, server: bool, generator: np.random.Generator, folder: Path) -> list[str]:
    world = copied(used, folder / "world")
    outcome = folder / "found.json"

    def ask_all() -> None:
        ask = _over_http() if server else _in_process()
        images = [(world.folder / f"faces/{number}.png").read_bytes() for number in range(6)]
        requests = Requests(generator, images)
        before = psutil.Process().memory_info().rss
        found = []
        for number in range(AT_ONCE):
            kind, body = requests.next()
            (folder / "last.json").write_text(json.dumps([number, kind]))
            (folder / "last.body").write_bytes(body)
            found.append(_complaint(ask, kind, body))
        grown = psutil.Process().memory_info().rss - before
        if grown > MEMORY:
            found[-1] += f"; with this one, the server has grown by {grown / 2**20:.0f} MiB"
        outcome.write_text(json.dumps(found))

    process = world.start(ask_all, "served.log")
    status = process.wait()
    if status != 0:
        last = (folder / "last.json").read_text() if (folder / "last.json").exists() else "none"
        raise Failed(f"the server ended with status {status} at request {last}: {process.last_line()}")
    return json.loads(outcome.read_text())


def _complaint(ask: Callable[[str, bytes], tuple[int, str]], kind: str, body: bytes) -> str:
    started = time.monotonic()
    status, text = ask(kind, body)
    seconds = time.monotonic() - started
    told = f"{kind} {base64.b64encode(body[:300]).decode()}"
    if not (status == 200 or 400 <= status < 500) or len(text.splitlines()) != 1:
        return f"status {status} of {told}"
    if "Traceback" in text or (status != 200 and len(text) > 4000):
        return f"too much said of {told}"
    return f"{seconds:.1f} s for {told}" if seconds > SECONDS else ""


def _in_process() -> Callable[[str, bytes], tuple[int, str]]:
    classifier = mlflow.pyfunc.load_model("models:/fairprof-D@champion").unwrap_python_model()
    answer = type(classifier).predicted.__globals__["answer"]  # of the model's own code
    return functools.partial(answer, classifier)


def _over_http() -> Callable[[str, bytes], tuple[int, str]]:
    os.environ[scoring_server._SERVER_MODEL_PATH] = "models:/fairprof-D@champion"
    os.environ[mlflow.environment_variables._MLFLOW_IS_IN_SERVING_ENVIRONMENT.name] = "true"
    app = importlib.import_module("mlflow.pyfunc.scoring_server.app").app
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    port = listening.getsockname()[1]

    def ask(kind: str, body: bytes) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("POST", "/invocations", body, {"Content-Type": kind})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    return ask


class Requests:
    """Bodies of the three types, with their types: half of them whole ones that are then damaged."""

    def __init__(self, generator: np.random.Generator, images: list[bytes]):
        self.generator = generator
        self.images = images
        self.texts = [base64.b64encode(content).decode() for content in images]

    def next(self) -> tuple[str, bytes]:
        kind, body = self.pick([self.of_json, self.of_csv, self.of_parquet, self.of_parquet])()
        if self.generator.random() < 0.5:
            body = self.damaged(body)
        return kind, body

    def pick(self, choices: list):
        return choices[int(self.generator.integers(len(choices)))]

    def damaged(self, body: bytes) -> bytes:
        content = bytearray(body)
        late = self.generator.random() < 0.5  # where Parquet describes itself
        for _ in range(int(self.generator.integers(1, 5))):
            if not content:
                break
            place = int(self.generator.integers(len(content) * 2 // 3 if late else 0, len(content)))
            how = self.generator.random()
            if how < 0.5:
                content[place] ^= 1 << int(self.generator.integers(8))
            elif how < 0.8:
                content[place] = int(self.generator.integers(256))
            elif how < 0.9:
                del content[place : place + int(self.generator.integers(1, 50))]
            else:
                content[place:place] = content[: int(self.generator.integers(1, 200))]
        return bytes(content)

    def value(self):
        return self.pick(
            [
                *[lambda: self.pick(self.texts)] * 6,
                lambda: None,
                lambda: "",
                lambda: float("nan"),
                lambda: float("inf"),
                lambda: 10 ** int(self.generator.integers(1, 4000)),
                lambda: -1.5,
                lambda: True,
                lambda: "\ud800",
                lambda: "x" * int(self.generator.integers(1, 100_000)),
                lambda: [self.pick(self.texts)],
                lambda: {"image": self.pick(self.texts)},
                lambda: base64.b64encode(self.picture()).decode(),
            ]
        )()

    def picture(self) -> bytes:
        """An image that is damaged, or larger than it looks."""
        buffer = io.BytesIO()
        if self.generator.random() < 0.1:
            Image.new("L", (4000, 4000)).save(buffer, "PNG")
            return buffer.getvalue()
        kind = self.pick(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
        pixels = self.generator.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(buffer, kind)
        return self.damaged(buffer.getvalue())

    def of_json(self) -> tuple[str, bytes]:
        values = [self.value() for _ in range(int(self.generator.integers(0, 5)))]
        many = int(self.generator.integers(1, 20_000))
        body = self.pick(
            [
                lambda: json.dumps({"inputs": values}),
                lambda: json.dumps({"instances": [{"image": value} for value in values], "params": {"explain": True}}),
                lambda: json.dumps({"dataframe_split": {"columns": ["image"], "data": [[value] for value in values]}}),
                lambda: json.dumps({"dataframe_records": [{"image": value, "x": 1} for value in values]}),
                lambda: json.dumps({"inputs": values, "params": {"invalid_rows": "report"}}),
                lambda: '{"inputs": [1e999, -1e999, NaN, 1E400, ' + "7" * int(self.generator.integers(1, 9000)) + "]}",
                lambda: '{"inputs": ' + self.pick(["[", '{"image":', '{"inputs":']) * many,
                lambda: '{"inputs": [' + ",".join(["1"] * many) + "]}",
                lambda: "{" + ",".join(f'"{number % 3}": {number}' for number in range(many)) + "}",
                lambda: '{"inputs": ["a"], "inputs": ["b"]}',
                lambda: '{"inputs": ["' + "\\ud800" * many + '"]}',
                lambda: json.dumps(values),
            ]
        )()
        return JSON, body.encode("utf-8", "surrogatepass")

    def of_csv(self) -> tuple[str, bytes]:
        many = int(self.generator.integers(1, 16_000))
        body = self.pick(
            [
                lambda: self.table(),
                lambda: self.table(),
                lambda: ",".join(["image"] * many) + "\nx\n",
                lambda: ",".join(["x"] * many) + ",image\n" + "y\n" * 100,
                lambda: 'image\n"' + "x" * many * 100,
                lambda: "image\n" + "\n" * many * 60,
                lambda: "image\n" + "\0" * many,
                lambda: "image\n" + '"' * many,
                lambda: "image\r" + "x\r\r\n" * many,
                lambda: "\ufeffimage\n" + "x," * many,
            ]
        )()
        return CSV, body.encode("utf-8", "surrogatepass")

    def table(self) -> str:
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        names = [self.pick(["image", "id", "image ", ""]) for _ in range(int(self.generator.integers(1, 4)))]
        writer.writerow(["image", *names] if self.generator.random() < 0.7 else names)
        for _ in range(int(self.generator.integers(0, 6))):
            writer.writerow([str(self.value())[:2000] for _ in range(int(self.generator.integers(1, 5)))])
        return buffer.getvalue()

    def of_parquet(self) -> tuple[str, bytes]:
        count = int(self.generator.integers(1, 7))
        whole = int(self.generator.integers(-(2**62), 2**62))
        column = self.pick(
            [
                lambda: pyarrow.array(self.images[:count]),
                lambda: pyarrow.array(self.texts[:count]),
                lambda: pyarrow.array([self.picture() for _ in range(count)]),
                lambda: pyarrow.DictionaryArray.from_arrays(
                    pyarrow.array([0, 1] * count, pyarrow.int32()), self.images[:2]
                ),
                lambda: pyarrow.array(
                    [whole], self.pick([pyarrow.timestamp("us"), pyarrow.time64("ns"), pyarrow.int64()])
                ),
                lambda: pyarrow.array(
                    [whole >> 32], self.pick([pyarrow.date32(), pyarrow.int32(), pyarrow.time32("s")])
                ),
                lambda: pyarrow.nulls(count, self.pick([pyarrow.null(), pyarrow.decimal256(70, 3), pyarrow.binary(7)])),
                lambda: pyarrow.array([self.images[:count]]),
                lambda: pyarrow.array([{"image": self.images[0]}]),
                lambda: pyarrow.array([[("image", b"x")]], pyarrow.map_(pyarrow.string(), pyarrow.binary())),
                lambda: pyarrow.array([bytes(int(self.generator.integers(1, 2**25)))] * count),
                lambda: pyarrow.array([str(number) for number in range(300)]),
            ]
        )()
        table = pyarrow.table({self.pick(["image"] * 6 + ["face"]): column, "id": [0] * len(column)})
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(
            table,
            buffer,
            compression=self.pick(["snappy", "zstd", "gzip", "none"]),
            use_dictionary=self.pick([True, False]),
            row_group_size=self.pick([1, 2, 10**6]),
            data_page_version=self.pick(["1.0", "2.0"]),
            write_page_index=self.pick([True, False]),
        )
        return PARQUET, buffer.getvalue()
