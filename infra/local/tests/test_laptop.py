"""What a laptop does to a program: folders that cannot be used, a full disk, a clock that jumps, pages from elsewhere.

Kills, taken ports and second starts are in test_life.py.
"""

import http.client
import json
import os
import re
import resource
import socket
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from conftest import BINARY, UPLOADS, Traces, encoded, picture, sample
from PIL import Image

FREE = ("--api-addr", "127.0.0.1:0", "--aws-addr", "127.0.0.1:0")
PHOTO = encoded(Image.new("RGB", (9, 9), "#806040"), "PNG")


def check_refused(part, *command):
    """There is no start, and one line says why."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and part in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and "ready in" not in done.stdout, done.stderr


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(own_darkroom, tmp_path):
    darkroom = own_darkroom("kept")
    job_id = darkroom.upload(PHOTO)
    darkroom.completed(job_id)
    assert darkroom.stop() == 0
    # Root may write anywhere, unless it gives that up.
    humbly = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
    for folder, data_dir in [(tmp_path / "kept", tmp_path / "kept"), (tmp_path, tmp_path / "new")]:
        files = [folder, *(file for file in folder.iterdir() if file.is_file())] if folder == data_dir else [folder]
        modes = {path: path.stat().st_mode for path in files}
        for path in files:
            path.chmod(0o500 if path.is_dir() else 0o400)
        try:
            check_refused(f"cannot write to the data folder {data_dir}", *humbly, BINARY, "--data-dir", data_dir, *FREE)
        finally:
            for path, mode in modes.items():
                path.chmod(mode)
    darkroom.start()
    assert darkroom.completed(job_id)["attempts"] == 1


@pytest.mark.parametrize("file", ["s3", "sqs", "sns", "dynamodb"])
def test_a_folder_of_a_newer_version_is_refused_and_left_as_it_is(own_darkroom, tmp_path, file):
    darkroom = own_darkroom()
    assert darkroom.stop() == 0
    path = darkroom.data_dir / f"{file}.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        if file == "dynamodb":
            database.execute("UPDATE _config SET value = '99' WHERE key = 'schema_version'")
        else:
            database.execute("PRAGMA user_version = 99")
    content = path.read_bytes()
    check_refused(f"{file}.sqlite", BINARY, "--data-dir", darkroom.data_dir, *FREE)
    check_refused("newer", BINARY, "--data-dir", darkroom.data_dir, *FREE)
    assert path.read_bytes() == content


class FullDisk:
    """As long as this lasts, no file of a process can grow, and none of its bytes be written."""

    def __init__(self, process):
        self.pid = process.pid

    def __enter__(self):
        self.limits = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, self.limits[1]))

    def __exit__(self, *_):
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, self.limits)


def test_a_full_disk_refuses_what_is_new_and_loses_nothing_old(own_darkroom):
    darkroom = own_darkroom()
    done = darkroom.completed(darkroom.upload(sample("cat.jpg")))
    slot = darkroom.slot(contentType="image/png")
    before = Traces.of(darkroom)
    with FullDisk(darkroom.process):
        refused = darkroom.post("/uploads", {})
        assert refused.status_code in (500, 503) and set(refused.json()) == {"error", "code", "requestId"}
        assert "disk" not in refused.text and "sqlite" not in refused.text.lower()
        put = requests.put(slot["url"], data=PHOTO, headers=slot["headers"])
        assert put.status_code == 500 and "InternalError" in put.text and "/" not in put.text.split("?>")[1].replace("</", "")
        with pytest.raises(Exception, match="InternalError|InternalFailure|500"):
            darkroom.client("sqs").send_message(QueueUrl=darkroom.queue_url(), MessageBody="x")
        # What is there can still be read.
        assert darkroom.get(f"/jobs/{done['jobId']}").json() == done
        assert picture(done).format == "JPEG"
    assert Traces.of(darkroom) == before
    assert requests.put(slot["url"], data=PHOTO, headers=slot["headers"]).status_code == 200
    assert darkroom.completed(slot["jobId"])["attempts"] == 1
    assert darkroom.stop() == 0
    # Half-written files are gone by now, or at the latest after the next start.
    darkroom.start()
    files = [path for path in (darkroom.data_dir / "objects").glob("??/*")]
    assert len(files) == len(Traces.of(darkroom).objects)


def test_a_disk_that_fills_up_under_a_photo_only_delays_its_job(own_darkroom):
    darkroom = own_darkroom()
    noise = Image.effect_noise((1500, 1500), 64).convert("RGB")
    slots = [darkroom.slot(contentType="image/png") for _ in range(3)]
    for slot in slots:
        put = requests.put(slot["url"], data=encoded(noise, "PNG", compress_level=1), headers=slot["headers"])
        assert put.status_code == 200
    with FullDisk(darkroom.process):
        time.sleep(3)
    jobs = [darkroom.completed(slot["jobId"], 120) for slot in slots]
    assert all(picture(job).size == (1500, 1500) for job in jobs)


def test_who_never_finishes_a_request_is_not_waited_for(quiet):
    """A client that holds a connection open for nothing costs it, and nobody else: it is closed after 20 seconds."""

    def linger(text):
        host, port = quiet.api.removeprefix("http://").split(":")
        started = time.monotonic()
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(text)
            answer = b""
            while more := connection.recv(4096):
                answer += more
        assert 15 < time.monotonic() - started < 40, text
        return answer

    def stalled_photo():
        """A PUT that promises more than it sends."""
        slot = quiet.slot()
        url = urlsplit(slot["url"])
        with closing(http.client.HTTPConnection(url.netloc, timeout=60)) as connection:
            connection.putrequest("PUT", f"{url.path}?{url.query}")
            for name, value in {**slot["headers"], "content-length": "9000"}.items():
                connection.putheader(name, value)
            connection.endheaders(b"abc")
            answer = connection.getresponse()
            return answer.status, re.search("<Code>(.*)</Code>", answer.read().decode())[1]

    unfinished = [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ", b"POST /uploads HTTP/1.1\r\n"]
    body = b"POST /uploads HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n"
    body += b"connection: close\r\n\r\n{"
    with ThreadPoolExecutor(50) as pool:
        slow = [pool.submit(linger, text) for text in unfinished * 10]
        slow_body = pool.submit(linger, body)
        photo = pool.submit(stalled_photo)
        assert quiet.post("/uploads", {}).status_code == 200
        assert all(b"200 OK" not in future.result() for future in slow)
        head, _, text = slow_body.result().partition(b"\r\n\r\n")
    assert photo.result() == (400, "RequestTimeout")
    assert head.startswith(b"HTTP/1.1 408 ") and json.loads(text)["code"] == "INVALID_REQUEST"


def test_a_page_from_elsewhere_signs_nothing_with_the_key_that_everybody_knows(quiet):
    evil, home = {"origin": "https://evil.example"}, {"origin": quiet.api}
    s3 = quiet.client("s3")
    s3.put_object(Bucket=UPLOADS, Key="elsewhere/secret", Body=b"secret")
    url = lambda operation, **parameters: s3.generate_presigned_url(operation, Params={"Bucket": UPLOADS, **parameters})
    requests_of_a_page = {
        "GET": url("get_object", Key="elsewhere/secret"),
        "PUT": url("put_object", Key="uploads/planted.png"),
        "DELETE": url("delete_object", Key="elsewhere/secret"),
        "HEAD": url("head_object", Key="elsewhere/secret"),
    }
    before = Traces.of(quiet)
    for method, signed in [*requests_of_a_page.items(), ("GET", url("list_objects_v2"))]:
        for headers in (evil, {"origin": "null"}):
            answer = requests.request(method, signed, headers=headers, data=PHOTO if method == "PUT" else None)
            assert answer.status_code == 403 and "secret" not in answer.text, (method, headers)
    form = s3.generate_presigned_post(UPLOADS, "uploads/planted.png")
    assert requests.post(form["url"], data=form["fields"], files={"file": PHOTO}, headers=evil).status_code == 403
    assert Traces.of(quiet) == before
    assert requests.get(requests_of_a_page["GET"]).content == requests.get(requests_of_a_page["GET"], headers=home).content
    # What the functions signed is for any page: the app's own is at another origin.
    slot = quiet.slot(contentType="image/png")
    assert "Credential=darkroom%2F" not in slot["url"]
    put = requests.put(slot["url"], data=PHOTO, headers={**slot["headers"], **evil})
    assert put.status_code == 200 and put.headers["access-control-allow-origin"] == "*"
    job = quiet.completed(slot["jobId"])
    assert requests.get(job["downloadUrl"], headers=evil).status_code == 200
    # The other services' pages are held off too, whatever they sign.
    for target in ("DynamoDB_20120810.Scan", "AmazonSQS.ListQueues"):
        headers = {**evil, "x-amz-target": target, "content-type": "application/x-amz-json-1.0"}
        assert requests.post(quiet.aws, data=b"{}", headers=headers).status_code == 403
    assert requests.get(f"{quiet.aws}/_darkroom/notifications", headers=evil).status_code == 403


def test_the_functions_key_is_for_this_users_eyes(own_darkroom):
    darkroom = own_darkroom()
    key = darkroom.data_dir / "functions.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text() not in darkroom.banner + darkroom.read_log()


@pytest.fixture
def clock(tmp_path):
    """Sets the clock that a Darkroom sees; the time that passes meanwhile is left as it is."""
    [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    file = tmp_path / "clock"

    def jump(by):
        (tmp_path / "next").write_text(by)
        (tmp_path / "next").rename(file)

    jump("+0")
    jump.environment = {
        "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    return jump


def test_a_clock_that_jumps_loses_and_holds_up_nothing(own_darkroom, clock):
    darkroom = own_darkroom(**clock.environment)
    sqs, queue = darkroom.client("sqs"), darkroom.queue_url()
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "2"})
    first = darkroom.completed(darkroom.upload(PHOTO, contentType="image/png"))
    days = [first["createdAt"][:10]]
    for jumps, by in enumerate(["-1d", "+1d", "+0"], start=1):
        sqs.send_message(QueueUrl=queue, MessageBody=f"not JSON {by}")
        time.sleep(1)
        slots = [darkroom.slot(contentType="image/png") for _ in range(8)]
        for slot in slots[:4]:
            assert requests.put(slot["url"], data=PHOTO, headers=slot["headers"]).status_code == 200
        clock(by)
        ids = [slot["jobId"] for slot in slots[:4]] + [darkroom.upload(PHOTO, contentType="image/png") for _ in range(4)]
        jobs = [darkroom.completed(job_id, 90) for job_id in ids]
        assert all(job["createdAt"] <= job["updatedAt"] for job in jobs)
        days.append(jobs[-1]["createdAt"][:10])
        # Hidden for two seconds each time, and not for as long as the clock was set back.
        deadline = time.monotonic() + 60
        while darkroom.count("darkroom-dlq") < jumps:
            assert time.monotonic() < deadline, by
            time.sleep(0.2)
    assert len(set(days)) == 3 and days[0] == days[-1], "the clock did not jump"
    assert darkroom.get(f"/jobs/{first['jobId']}").json()["status"] == "COMPLETED"
    assert darkroom.count("darkroom-queue") == 0
