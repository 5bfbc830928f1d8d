"""The API as processes: one port for several, an end in time, and a document that they keep to."""

import asyncio
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import COURIER, MALL, OPERATOR, Platform
from tests.api_process import ApiProcesses, api_processes
from vns.settings import Settings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LESS_THAN_A_STATEMENT = 12  # seconds: a process does not wait for its statements to time out
EXAMPLES = 25  # of each operation in each mode


@pytest.fixture
def environment(core_settings: Settings) -> dict[str, str]:
    return {
        "VNS_DATABASE_URL": core_settings.database_url,
        "VNS_REDIS_URL": core_settings.redis_url,
        "VNS_KEYS_FILE": str(core_settings.keys_file),
        "VNS_DATABASE_POOL_SIZE": "4",
        "VNS_HTTP_STATEMENT_TIMEOUT": "60",
    }


@pytest.fixture
def two(environment: dict[str, str], tmp_path: Path) -> Iterator[ApiProcesses]:
    shared = {"VNS_METRICS_DIR": str(tmp_path / "metrics")}
    with api_processes(2, {**environment, **shared}, tmp_path / "api.log") as processes:
        yield processes


def served(processes: ApiProcesses) -> int:
    """How many requests to /healthz the metrics know of, whichever process is asked."""
    text = httpx.get(f"{processes.url}/metrics", timeout=30).text
    lines = [line for line in text.splitlines() if line.startswith("vns_http_requests_total{") and "healthz" in line]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))


def test_two_processes_share_a_port_and_count_together(two: ApiProcesses) -> None:
    before = served(two)
    for _ in range(20):  # each on a connection of its own, so that the kernel spreads them
        assert httpx.get(f"{two.url}/healthz", timeout=30).status_code == 200
    assert {served(two) for _ in range(10)} == {before + 20}


def test_one_may_end_while_the_other_serves(two: ApiProcesses) -> None:
    first = two.running[0]
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=LESS_THAN_A_STATEMENT) in {0, -signal.SIGTERM}
    assert two.answers()


async def test_it_ends_although_a_statement_hangs(
    environment: dict[str, str], platform: Platform, tmp_path: Path
) -> None:
    body = {"mode": "one_way", "real_number": "01011112222"}
    headers = {"authorization": f"Bearer {platform.keys[MALL]}"}
    with api_processes(1, environment, tmp_path / "api.log") as server:
        async with platform.services.database.transaction() as connection, httpx.AsyncClient(timeout=30) as client:
            await connection.execute("lock table pools in access exclusive mode")
            hanging = asyncio.create_task(client.post(f"{server.url}/v1/bindings", json=body, headers=headers))
            while not await connection.fetchval("select exists (select from pg_locks where not granted)"):
                assert not hanging.done()
            process = server.running[0]
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, LESS_THAN_A_STATEMENT) in {0, -signal.SIGTERM}
            answer = await hanging
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_body_over_the_limit_is_refused_over_the_wire(
    two: ApiProcesses, platform: Platform, *, chunked: bool
) -> None:
    content = iter([b" " * 65_536] * 48) if chunked else b" " * 3_145_728
    headers = {"authorization": f"Bearer {platform.keys[MALL]}", "content-type": "application/json"}
    answer = httpx.post(f"{two.url}/v1/bindings", content=content, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


def test_a_client_that_sends_all_before_it_listens_hears_the_refusal(two: ApiProcesses, platform: Platform) -> None:
    connection = HTTPConnection("127.0.0.1", two.port, timeout=60)
    with closing(connection):
        headers = {"authorization": f"Bearer {platform.keys[MALL]}", "content-type": "application/json"}
        connection.request("POST", "/v1/bindings", b" " * 33_554_432, headers)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("announced", ["", "expect: 100-continue\r\n"])
def test_a_body_that_is_announced_too_large_need_not_come(
    two: ApiProcesses, platform: Platform, announced: str
) -> None:
    head = (
        f"POST /v1/bindings HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {platform.keys[MALL]}\r\n"
        f"content-type: application/json\r\ncontent-length: 99999999999\r\n{announced}\r\n"
    )
    answer = said_to(two.port, head.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"payload_too_large"' in answer


@pytest.mark.parametrize(
    "sent",
    [
        b"HELLO\r\n\r\n",
        b"FETCH /v1/bindings HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["no HTTP", "no method", "too long an address"],
)
def test_what_the_server_cannot_read_is_a_problem_too(two: ApiProcesses, sent: bytes) -> None:
    head, _, body = said_to(two.port, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    problem = json.loads(body)
    assert (problem["code"], problem["status"]) == ("invalid_request", 400)


def said_to(port: int, sent: bytes) -> bytes:
    """All that the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_metrics_and_log_hold_no_number(two: ApiProcesses, platform: Platform) -> None:
    """Numbers in every place where a client may put one, most of them wrong."""
    number, path = "01099998888", "/v1/bindings"
    headers = {"authorization": f"Bearer {platform.keys[MALL]}"}
    with httpx.Client(base_url=two.url, timeout=30, headers=headers) as client:
        made = client.post(path, json={"mode": "one_way", "real_number": number})
        assert made.status_code == 201
        client.get(f"{path}?virtual_number={number}")
        client.get(f"{path}?cursor={number}")
        client.get(f"{path}/{number}")
        client.get(f"/{number}")
        client.request(number, path)
        client.post(path, json={"mode": number, "real_number": number, number: number})
        client.post(path, content=number, headers={"content-type": "application/json"})
        client.post(path, json={"mode": "one_way", "real_number": number}, headers={"idempotency-key": number})
        text = client.get("/metrics").text
    assert number not in made.text
    assert number not in text
    assert number not in two.log.read_text()


async def test_the_application_keeps_to_its_document(
    environment: dict[str, str], platform: Platform, tmp_path: Path
) -> None:
    key_of = {"/v1/deliveries": COURIER, "/v1/pools": OPERATOR, "/v1/sender-reviews": OPERATOR}
    with api_processes(1, environment, tmp_path / "api.log") as server:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        seen = 0
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            holder = next((who for path, who in key_of.items() if operation.path.startswith(path)), MALL)
            headers = {"authorization": f"Bearer {platform.keys[holder]}"}
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                exercise(operation, mode, headers)
                seen += 1
        assert seen >= 24


def exercise(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, headers: dict[str, str]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Case[Any]) -> None:
        case.validate_response(case.call(headers=headers), checks=CHECKS)

    try:
        one()
    except Unsatisfiable:  # there is nothing to get wrong in a request without parameters
        assert mode is GenerationMode.NEGATIVE
