"""Applications that want to be told: signed calls of their URLs, by the running product."""

import json
import re
import subprocess
import time

import pytest
from conftest import ROOT, eventually, sample
from receiver import Receiver, as_secret, signature

KEY = b"thirty-two bytes of no secrecy.."
OTHER_KEY = b"another secret, which comes next"


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def darkroom_that_calls(own_darkroom, receiver):
    def start(**environment):
        secrets = f"{as_secret(KEY)},{as_secret(OTHER_KEY)}"
        given = {"CALLBACK_HOSTS": f"localhost:{receiver.port}", "CALLBACK_PRIVATE": "true", "CALLBACK_SECRET": secrets}
        return own_darkroom(**{**given, **environment})

    return start


def test_an_application_is_told_in_a_call_that_it_can_verify(darkroom_that_calls, receiver):
    darkroom = darkroom_that_calls()
    job_id = darkroom.upload(sample("cat.jpg"), filename="cat.jpg", metadata={"order": "7"}, callbackUrl=receiver.url("/hooks?for=me"))
    job = darkroom.completed(job_id)
    [(_, path, headers, body)] = eventually(lambda: receiver.calls)
    assert path == "/hooks?for=me" and headers["content-type"] == "application/json"
    assert headers["webhook-id"] == f"{job_id}.COMPLETED"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    # One for each secret, so that one can take the other's place.
    assert headers["webhook-signature"].split(" ") == [signature(key, headers, body) for key in (KEY, OTHER_KEY)]
    told = json.loads(body)
    [(notice, _)] = darkroom.notices()
    assert told == notice and told["metadata"] == {"order": "7"} and told["classification"] == job["classification"]
    # Where it wants to be called is nobody else's business.
    assert "hooks" not in json.dumps(job) + json.dumps(notice) + darkroom.read_log()
    assert darkroom.count("darkroom-callbacks") == 0


def test_a_failed_job_is_told_of_as_well(darkroom_that_calls, receiver):
    darkroom = darkroom_that_calls()
    job_id = darkroom.upload(b"no photo", callbackUrl=receiver.url())
    darkroom.finished(job_id)
    [(_, _, headers, body)] = eventually(lambda: receiver.calls)
    assert headers["webhook-id"] == f"{job_id}.FAILED" and json.loads(body)["errorCode"] == "UNSUPPORTED_FORMAT"


def test_a_receiver_that_stumbles_is_called_again(darkroom_that_calls, receiver):
    darkroom = darkroom_that_calls()
    elsewhere = {"location": receiver.url("/elsewhere")}
    receiver.answers = [(500, {}), (302, elsewhere)]
    darkroom.completed(darkroom.upload(sample("cat.jpg"), callbackUrl=receiver.url()))
    eventually(lambda: len(receiver.calls) == 3, 90)
    times, paths, headers, bodies = zip(*receiver.calls)
    # Redirects are not followed; what is repeated is the same to the byte, and signed anew.
    assert set(paths) == {"/hooks"} and len(set(bodies)) == 1 and len({each["webhook-id"] for each in headers}) == 1
    assert 10 <= times[1] - times[0] < 20 and 20 <= times[2] - times[1] < 35
    for each, body in zip(headers, bodies):
        assert signature(KEY, each, body) in each["webhook-signature"]
    eventually(lambda: darkroom.count("darkroom-callbacks") == 0)


def test_a_dead_receiver_is_given_up_in_time_and_no_job_fails_for_it(darkroom_that_calls, receiver):
    darkroom = darkroom_that_calls(CALLBACK_RETRY_SECONDS="15")
    receiver.stop()
    job = darkroom.completed(darkroom.upload(sample("cat.jpg"), callbackUrl=receiver.url()))
    eventually(lambda: "a callback is given up" in darkroom.read_log(), 60)
    assert darkroom.count("darkroom-callbacks") == 0
    assert darkroom.completed(job["jobId"]) == job


def test_a_receiver_that_wants_no_more_is_called_no_more(darkroom_that_calls, receiver):
    darkroom = darkroom_that_calls()
    receiver.answers = [(410, {})]
    darkroom.completed(darkroom.upload(sample("cat.jpg"), callbackUrl=receiver.url()))
    eventually(lambda: "the receiver answered 410" in darkroom.read_log())
    assert darkroom.count("darkroom-callbacks") == 0 and len(receiver.calls) == 1


def test_a_private_address_is_not_called_whatever_its_name(darkroom_that_calls, receiver):
    darkroom = darkroom_that_calls(
        CALLBACK_PRIVATE="false", CALLBACK_HOSTS=f"localhost:{receiver.port},127.0.0.1:{receiver.port}", CALLBACK_RETRY_SECONDS="0"
    )
    for refused in [
        receiver.url(host="127.0.0.1", scheme="https"),
        receiver.url(host="127.0.0.1"),
        receiver.url(),
        receiver.url(host="2130706433", scheme="https"),
        "https://169.254.169.254/latest/meta-data/",
        "https://example.com/",
    ]:
        answer = darkroom.post("/uploads", {"callbackUrl": refused})
        assert answer.status_code == 400 and "callbackUrl: " in answer.json()["error"], answer.text
    # The name is on the list, and where it leads is found out at the call.
    darkroom.completed(darkroom.upload(sample("cat.jpg"), callbackUrl=receiver.url(scheme="https")))
    eventually(lambda: "the host has no public address" in darkroom.read_log())
    assert receiver.calls == []


def test_nobody_is_called_where_that_is_not_set_up(darkroom):
    answer = darkroom.post("/uploads", {"callbackUrl": "https://example.com/"})
    assert answer.status_code == 400 and answer.json()["error"] == "callbackUrl: callbacks are not set up here"


def test_receivers_verify_as_the_page_tells_them(tmp_path):
    page = (ROOT / "docs" / "notifications.md").read_text()
    [python] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    [typescript] = re.findall(r"```typescript\n(.*?)```", page, re.DOTALL)
    exec(python, known := {})
    now, secret, body = str(int(time.time())), as_secret(KEY), b'{"status":"COMPLETED"}'
    headers = {"webhook-id": "1.COMPLETED", "webhook-timestamp": now}
    headers["webhook-signature"] = f"{signature(OTHER_KEY, headers, body)} {signature(KEY, headers, body)}"
    old = {**headers, "webhook-timestamp": str(int(now) - 400)}
    old["webhook-signature"] = signature(KEY, old, body)
    for expected, given, text, with_secret in [
        (True, headers, body, secret),
        (True, headers, body, as_secret(OTHER_KEY)),
        (False, headers, body + b" ", secret),
        (False, headers, body, as_secret(b"a secret of somebody else's")),
        (False, {**headers, "webhook-id": "2.COMPLETED"}, body, secret),
        (False, {**headers, "webhook-signature": "v1,short"}, body, secret),
        (False, {**headers, "webhook-signature": "v1,ünïcödé"}, body, secret),
        (False, old, body, secret),
    ]:
        assert known["is_from_darkroom"](given, text, with_secret) is expected
        # Types are for the compiler.
        script = re.sub(r": (Record<string, string>|Buffer|string|boolean)(?=[,) ])", "", typescript)
        script += f"\nprocess.stdout.write(String(isFromDarkroom({json.dumps(given)}, Buffer.from({json.dumps(text.decode())}), {json.dumps(with_secret)})));"
        (tmp_path / "verify.mjs").write_text(script)
        ran = subprocess.run(["node", tmp_path / "verify.mjs"], capture_output=True, text=True)
        assert (ran.stdout, ran.stderr) == (str(expected).lower(), "")
