"""A finished model as a web service: its process, what it is asked, and requests that should not break it."""

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import asgi
from mlflow_server import free_port

SECRET = "4711.8150"  # a patient's value
CLIENTS, REQUESTS = 8, 1000


@contextmanager
def serving(launch: Callable[..., Any], run_id: str, output_dir: Path, log: Path) -> Iterator[str]:
    """Where a server of a run's model answers."""
    port = free_port()
    command = [sys.executable, "-m", "medfit", "serve", run_id, f"port={port}", f"output_dir={output_dir}"]
    with log.open("w") as file:
        process = launch(command, stdout=file, stderr=file)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2)
            break
        except OSError:
            time.sleep(0.3)
    try:
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        process.terminate()
        process.wait()


def ask(address: str, content: str, kind: str = "application/json") -> tuple[int, str]:
    """The status and the text of an answer."""
    request = urllib.request.Request(address, content.encode(), {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def asked_by_many(address: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The answers to a thousand requests of eight clients, each of a row in turn; none may be lost."""

    def served(number: int) -> dict[str, Any]:
        status, text = ask(address, json.dumps({"dataframe_records": [rows[number % len(rows)]]}))
        assert status == 200, text
        (answer,) = json.loads(text)["predictions"]
        return answer

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(served, range(REQUESTS)))
    assert len(answers) == REQUESTS
    return answers


def try_to_break(app: Any, good: Mapping[str, Any], fields: Sequence[str]) -> None:
    """Sends the application requests by the hundred that are wrong in any way; each must be answered with a line.

    Args:
        app: The server's application.
        good: A row that it takes.
        fields: That are given other values.
    """
    words = st.text(max_size=8).map(lambda word: word + SECRET)
    plain = st.none() | st.booleans() | st.integers() | st.floats() | words | st.just(10**400) | st.just(float(SECRET))
    lists = st.lists(plain, max_size=3) | st.lists(st.just(float(SECRET)), max_size=40)
    values = plain | lists | st.lists(lists, max_size=3) | st.dictionaries(st.text(max_size=3), plain, max_size=2)
    forms = ["records", "split", "inputs", "instances", "csv", "other", "cut", "bare"]
    kinds = ["text/csv", "application/json", "application/vnd.apache.parquet", "x", "text/csv; charset=x"]

    @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.sampled_from(list(fields)), values), st.sampled_from(forms), st.sampled_from(kinds))
    def tried(row: dict[str, Any], form: str, kind: str) -> None:
        whole = {**good, **row}
        content = {
            "records": {"dataframe_records": [whole]},
            "split": {"dataframe_split": {"columns": list(whole), "data": [list(whole.values())]}},
            "inputs": {"inputs": row},
            "instances": {"instances": [row, 1]},
            "other": {"dataframe_split": {"columns": 1, "data": list(whole.values())}, **row},
            "bare": row,
        }.get(form)
        body = json.dumps(content).encode()
        if form in ("csv", "cut"):
            body = pd.DataFrame([whole]).to_csv(index=False).encode()[: None if form == "csv" else -9]
        status, told = asgi.ask(app, body, kind)
        assert status == 200 or 400 <= status < 500, told
        if status != 200:
            line = json.loads(told)["message"]
            assert "Traceback" not in line and "\n" not in line and SECRET.rstrip("0") not in line

    tried()
