"""A tracking server that goes while a training runs, and returns: the training waits and ends as it does alone."""

import functools
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.entrypoints.runs import environment
from tests.faults.attempts import Failed
from tests.faults.campaign import Kind
from tests.faults.stage import Reference, Stage
from tests.faults.worlds import World, copied, require_whole

START_SECONDS = 120


def kinds(stage: Stage) -> list[Kind]:
    return [Kind("server", 4, functools.partial(_drawn, stage))]


def _drawn(stage: Stage, number: int, generator: np.random.Generator):
    after = float(generator.uniform(0, stage.training.seconds))
    away = float(generator.uniform(0, 20))
    name = f"a server that goes after {after:.2f} s and returns {away:.1f} s later"
    return name, functools.partial(_gone, stage.training, after, away)


def _gone(reference: Reference, after: float, away: float, folder: Path) -> int:
    world = copied(reference.before, folder / "world")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    server = _server(world, port)
    try:
        process = world.start(lambda: reference.command(world), "log", **address)
        time.sleep(after)
        _end(server)
        time.sleep(away)
        server = _server(world, port)
        process.succeed("the training whose server went")
        world.start(lambda: require_whole(world, reference.predictions), "whole.log", **address).succeed("afterwards")
    finally:
        _end(server)
    return 1


def _server(world: World, port: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", world.environment["MLFLOW_TRACKING_URI"]]
    command += ["--artifacts-destination", str(world.folder / "artifacts")]
    with open(world.folder / "server.log", "a") as log:
        server = subprocess.Popen(
            command,
            cwd=world.folder,
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if server.poll() is not None or time.monotonic() > deadline:
            _end(server)
            raise Failed(f"the server does not start: {(world.folder / 'server.log').read_text()[-300:]}")
        time.sleep(0.1)
    return server


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _end(server: subprocess.Popen) -> None:
    """Ends the server and the processes that it has started, all in one session."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
