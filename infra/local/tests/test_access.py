"""Who is let in, where somebody has to be: API keys, over HTTP; and a request that should have had a token.

What a token's claims make of its bearer is tried on the handlers (infra/local/src/functions.rs), and with real tokens on the
deployed stack (infra/tests/test_deployed_access.py): the laptop has no authorizer.
"""

import hashlib
import json
import os
import subprocess
import uuid

import pytest
import requests
from conftest import BINARY, SAMPLES, Darkroom, Traces, as_base64, sample

OLD, NEW = "old-" + "k" * 40, "new-" + "k" * 40
HASHES = ",".join(hashlib.sha256(key.encode()).hexdigest() for key in (OLD, NEW))
IMAGE = {"image": as_base64(sample("cat.jpg"))}
ROUTES = [
    ("POST", "/uploads", {}),
    ("POST", "/uploads/batch", {"files": [{}]}),
    ("POST", "/image", IMAGE),
    ("POST", "/classify", IMAGE),
    ("GET", "/jobs", None),
    ("GET", f"/jobs/{uuid.uuid4()}?wait=20", None),
    ("GET", "/results", None),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    instance = Darkroom(tmp_path_factory.mktemp("guarded") / "data", {"API_KEY_SHA256": HASHES})
    yield instance
    assert instance.stop() == 0


def refused(answer, code):
    assert (answer.status_code, answer.json()["code"]) == (401, code), answer.text
    assert set(answer.json()) == {"error", "code", "requestId"}
    # A page of another origin has to be able to read it.
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["www-authenticate"]


@pytest.mark.parametrize("method, path, body", ROUTES, ids=[f"{method} {path[:9]}" for method, path, _ in ROUTES])
def test_without_a_key_that_is_accepted_nothing_happens(guarded, method, path, body):
    before = Traces.of(guarded)
    hashed = hashlib.sha256(OLD.encode()).hexdigest()
    for key in (None, "", "x", OLD[:-1], OLD.upper(), f"{OLD},{NEW}", hashed):
        headers = {} if key is None else {"x-api-key": key}
        refused(requests.request(method, guarded.api + path, json=body, headers=headers), "INVALID_API_KEY")
    refused(requests.request(method, guarded.api + path, json=body, headers={"authorization": f"Bearer {OLD}"}), "INVALID_API_KEY")
    # Nor is a body looked at before.
    refused(requests.request(method, guarded.api + path, data=b"{", headers={"content-type": "text/plain"}), "INVALID_API_KEY")
    assert Traces.of(guarded) == before


def test_either_key_is_accepted_while_they_are_exchanged(guarded):
    for key in (OLD, NEW):
        slot = guarded.post("/uploads", {"filename": "cat.jpg"}, headers={"x-api-key": key})
        assert slot.status_code == 200, slot.text
        assert guarded.get(f"/jobs/{slot.json()['jobId']}", headers={"X-Api-Key": key}).status_code == 200
        assert guarded.post("/classify", IMAGE, headers={"x-api-key": key}).status_code == 200


def test_a_preflight_needs_no_key_and_says_that_a_request_may_carry_one(guarded):
    wishes = {"origin": "https://a.example", "access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    answer = requests.options(f"{guarded.api}/uploads", headers=wishes)
    assert answer.status_code == 204
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"x-api-key", "authorization"} <= set(allowed)


def test_what_there_is_not_is_told_without_a_key(guarded):
    for method, path, status in (("GET", "/nowhere", 404), ("DELETE", "/jobs", 405)):
        assert requests.request(method, guarded.api + path).status_code == status


def test_keys_are_in_no_log(guarded):
    guarded.get("/jobs", headers={"x-api-key": "a-wrong-key"})
    guarded.get("/jobs", headers={"x-api-key": OLD})
    log = guarded.read_log()
    assert "INVALID_API_KEY" in log
    assert OLD not in log and "a-wrong-key" not in log and hashlib.sha256(OLD.encode()).hexdigest() not in log


def test_where_tokens_are_asked_for_nobody_gets_in_past_the_authorizer(own_darkroom):
    """As where the authorizer was taken off by hand: the functions still know that there should be one."""
    darkroom = own_darkroom(JWT_SCOPE="photos/use", JWT_OPERATOR_SCOPE="photos/all")
    before = Traces.of(darkroom)
    for method, path, body in ROUTES:
        # Unchecked, a token says nothing.
        answer = requests.request(method, darkroom.api + path, json=body, headers={"authorization": "Bearer a.b.c"})
        refused(answer, "UNAUTHENTICATED")
    assert Traces.of(darkroom) == before


@pytest.mark.parametrize("given", ["option", "variable", "variable of hashes"])
def test_the_laptop_asks_for_the_key_that_it_was_given(tmp_path, given):
    key = "it's a \"key\" with $HOME".replace(" ", "_")
    environment = {"DARKROOM_API_KEY": key} if given == "variable" else {"API_KEY_SHA256": HASHES} if given == "variable of hashes" else {}
    darkroom = Darkroom(tmp_path / "data", environment, () if given == "variable" else ("--api-key", key))
    try:
        refused(darkroom.post("/uploads", {}), "INVALID_API_KEY")
        assert darkroom.post("/uploads", {}, headers={"x-api-key": key}).status_code == 200
        # Hashes that somebody set are accepted beside it.
        status = darkroom.post("/uploads", {}, headers={"x-api-key": OLD}).status_code
        assert status == (200 if given == "variable of hashes" else 401)
        # What is printed is for a shell, whatever is in the key.
        commands = [line.strip() for line in darkroom.banner.splitlines() if "curl" in line]
        assert "x-api-key" in commands[0] and "x-api-key" not in commands[1]
        done = subprocess.run(["sh", "-c", "; ".join(commands)], cwd=SAMPLES.parents[1], capture_output=True, text=True)
        assert '"jobId"' in done.stdout, done
        job_id = json.loads(done.stdout)["jobId"]
        assert darkroom.get(f"/jobs/{job_id}?wait=20", headers={"x-api-key": key}).json()["status"] == "COMPLETED"
    finally:
        darkroom.kill()


def test_a_key_that_no_header_carries_is_refused_at_start(tmp_path):
    for options, environment in ((("--api-key", "a b"), {}), ((), {"DARKROOM_API_KEY": "schlüssel"})):
        command = [BINARY, "--data-dir", tmp_path / "data", *options]
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)
        assert done.returncode in (1, 2) and "visible ASCII" in done.stderr and "ready" not in done.stdout, done
