"""`darkroom upload` and `darkroom jobs`: the real binary as a client of a real stack, over bad lines and after kills."""

import hashlib
import http.server
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import contextmanager

import requests
from conftest import BINARY, SAMPLES, Darkroom, encoded, sample
from PIL import Image

COMPLETED, NOT_BEGUN, USAGE, SOME_FAILED, STOPPED = 0, 1, 2, 3, 130


def command(darkroom, *arguments):
    return [BINARY, *arguments, "--api", darkroom if isinstance(darkroom, str) else darkroom.api]


def run(darkroom, *arguments, **environment):
    # A terminal is what it is not: no bars are to be seen anywhere.
    done = subprocess.run(command(darkroom, *arguments), env={**os.environ, **environment}, capture_output=True, text=True, timeout=240)
    assert "\x1b" not in done.stdout + done.stderr
    return done


def lines(done, code=COMPLETED):
    assert done.returncode == code, done
    return [json.loads(line) for line in done.stdout.splitlines()]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def folder_of(path, count):
    """Small photos, each unlike the others."""
    path.mkdir()
    for n in range(count):
        Image.new("RGB", (32, 24), (5 * n % 256, 7 * n % 256, n)).save(path / f"{n:03}.png")
    return path


def jobs(darkroom):
    return darkroom.get("/jobs", params={"limit": 100}).json()["jobs"]


@contextmanager
def between(darkroom, mishap):
    """A server between client and API. `mishap` says of each request, by its path and how often it came, what happens to it."""
    seen, lock = Counter(), threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with lock:
                seen[self.path, body] += 1
                count = seen[self.path, body]
            what = mishap(self.path, count)
            if what == "cut":
                return
            if isinstance(what, int):
                self.send_response(what)
                self.send_header("retry-after", "1")
                self.send_header("content-length", "0")
                self.end_headers()
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
            answer = requests.request(self.command, darkroom.api + self.path, data=body, headers=headers)
            if what == "lose the answer":
                return
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = pass_on

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def test_photos_are_uploaded_and_their_derivatives_fetched(own_darkroom, tmp_path):
    darkroom, out = own_darkroom(), tmp_path / "made" / "here"
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "cat.png").write_bytes(encoded(Image.open(SAMPLES / "cat.jpg"), "PNG"))
    arguments = ("upload", SAMPLES, tmp_path / "more", "--out", out, "--recipe", SAMPLES.parent / "recipes" / "web.json")
    told = lines(run(darkroom, *arguments, "--json"))
    assert {line["outcome"] for line in told} == {"completed"} and len(told) == 5 and all(line["uploaded"] for line in told)
    for line in told:
        job = darkroom.completed(line["jobId"])
        top = job["classification"]["predictions"][0]
        assert (line["label"], line["probability"], line["bytes"]) == (top["label"], top["probability"], job["source"]["bytes"])
        assert [(d["name"], d["sha256"], d["bytes"]) for d in line["derivatives"]] == [
            (d["name"], d["sha256"], d["bytes"]) for d in job["derivatives"]
        ]
        for derivative in line["derivatives"]:
            assert sha256(out / os.path.basename(derivative["file"])) == derivative["sha256"]
    names = {path.name for path in out.iterdir()}
    assert {"cat-web.jpg", "cat-thumb.jpg", "cat-2-web.png", "rocket-thumb.jpg"} <= names and len(names) == 10

    # Once more: nothing is sent, and fetched is what is not there, or not as it should be.
    (out / "cat-web.jpg").unlink()
    (out / "rocket-web.jpg").write_bytes(b"harmed")
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    again = run(darkroom, *arguments)
    assert again.returncode == COMPLETED and again.stderr == "", again
    assert again.stdout.count("completed before") == 5 and "5 photos: 5 completed" in again.stdout
    assert {path.name for path in out.iterdir() if path.stat().st_mtime_ns != before.get(path)} == {"cat-web.jpg", "rocket-web.jpg"}
    by_id = {line["jobId"]: line for line in told}
    assert {job["jobId"] for job in jobs(darkroom)} == set(by_id)
    assert sha256(out / "rocket-web.jpg") in str(told) and sha256(out / "cat-web.jpg") in str(told)


def test_a_photo_that_fails_does_so_by_itself(darkroom, tmp_path):
    (tmp_path / "bad.jpg").write_text("no photo")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "cut\x1b[2J.jpg").write_bytes(sample("cat.jpg")[:20_000])
    (tmp_path / "good.jpg").write_bytes(sample("cat.jpg"))
    told = {os.path.basename(line["file"]): line for line in lines(run(darkroom, "upload", tmp_path, "--json"), SOME_FAILED)}
    assert told["good.jpg"]["outcome"] == "completed"
    codes = {name: line.get("errorCode") for name, line in told.items() if line["outcome"] == "failed"}
    assert codes == {"bad.jpg": "UNSUPPORTED_FORMAT", "empty.jpg": None, "cut\x1b[2J.jpg": "CORRUPT_IMAGE"}
    assert "at least one byte" in told["empty.jpg"]["errorMessage"]
    table = run(darkroom, "upload", tmp_path)
    assert table.returncode == SOME_FAILED and "4 photos: 1 completed, 3 failed" in table.stdout and "(CORRUPT_IMAGE)" in table.stdout


def test_a_run_that_was_killed_goes_on_where_it_was(own_darkroom, tmp_path):
    darkroom, photos, out = own_darkroom(), folder_of(tmp_path / "photos", 50), tmp_path / "out"
    darkroom.execute("s3", "CREATE TABLE puts (body TEXT)")
    darkroom.execute("s3", "CREATE TRIGGER note AFTER INSERT ON outbox BEGIN INSERT INTO puts VALUES (NEW.body); END")
    arguments = command(darkroom, "upload", photos, "--out", out, "--json")
    first = subprocess.Popen([*arguments, "--jobs", "1"], stdout=subprocess.PIPE, text=True)
    for _ in range(20):
        assert json.loads(first.stdout.readline())["outcome"] == "completed"
    first.kill()
    first.wait()
    assert 20 <= len(jobs(darkroom)) <= 30

    told = lines(subprocess.run([*arguments, "--jobs", "4"], capture_output=True, text=True, timeout=240))
    assert len(told) == 50 and {line["outcome"] for line in told} == {"completed"}
    assert 20 <= sum(line["uploaded"] for line in told) <= 30
    assert len(jobs(darkroom)) == 50 and {job["status"] for job in jobs(darkroom)} == {"COMPLETED"}
    assert {job["jobId"] for job in jobs(darkroom)} == {line["jobId"] for line in told}
    # Each photo came to S3 once.
    assert len(darkroom.execute("s3", "SELECT body FROM puts")) == 50
    assert {sha256(path) for path in out.iterdir()} == {derivative["sha256"] for line in told for derivative in line["derivatives"]}
    assert len(list(out.iterdir())) == 50


def test_a_run_that_is_stopped_says_so_and_leaves_nothing_half_done(own_darkroom, tmp_path):
    darkroom, photos, out = own_darkroom(), folder_of(tmp_path / "photos", 30), tmp_path / "out"
    running = subprocess.Popen(
        command(darkroom, "upload", photos, "--out", out, "--jobs", "2", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    told = [running.stdout.readline()]
    running.send_signal(signal.SIGINT)
    rest, errors = running.communicate(timeout=30)
    told = [json.loads(line) for line in told + rest.splitlines()]
    assert running.returncode == STOPPED and errors == "darkroom: stopped; the same command goes on from here\n"
    assert len(told) == 30 and {line["outcome"] for line in told} == {"completed", "stopped"}
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_job_that_failed_for_a_passing_reason_has_a_successor(darkroom, tmp_path):
    folder_of(tmp_path / "photos", 1)
    one = lambda: lines(run(darkroom, "upload", tmp_path / "photos", "--json"))[0]
    first = one()
    table, key = darkroom.client("dynamodb"), {"jobId": {"S": first["jobId"]}}
    row = table.get_item(TableName="darkroom-jobs", Key=key)["Item"]
    failed = {"status": {"S": "FAILED"}, "errorCode": {"S": "INTERNAL"}, "errorMessage": {"S": "It was us."}}
    table.put_item(TableName="darkroom-jobs", Item=row | failed)
    second = one()
    assert second["uploaded"] and second["jobId"] != first["jobId"]
    third = one()
    assert not third["uploaded"] and third["jobId"] == second["jobId"]


def test_a_bad_line_is_borne_with(own_darkroom, tmp_path):
    """Each request to the API meets a mishap first; an answer that is lost after the effect makes no second job."""
    darkroom, photos = own_darkroom(), folder_of(tmp_path / "photos", 4)
    mishaps = {1: 503, 2: "cut"}

    def mishap(path, count):
        if path == "/uploads":
            return {1: 429, 2: "lose the answer"}.get(count)
        return mishaps.get(count) if "wait=20" in path else None

    with between(darkroom, mishap) as (address, seen):
        told = lines(run(address, "upload", photos, "--json"))
    assert {line["outcome"] for line in told} == {"completed"} and len(jobs(darkroom)) == 4
    assert min(seen.values()) >= 1 and sum(count >= 3 for count in seen.values()) >= 8, seen


def test_what_stays_broken_is_given_up_in_plain_words(darkroom, tmp_path):
    photos = folder_of(tmp_path / "photos", 1)
    with between(darkroom, lambda path, _: 418 if path == "/uploads" else None) as (address, seen):
        [line] = lines(run(address, "upload", photos, "--json"), SOME_FAILED)
    assert "418" in line["errorMessage"] and sum(count for (path, _), count in seen.items() if path == "/uploads") == 1


def check_not_begun(done, *parts):
    assert done.returncode == NOT_BEGUN and done.stdout == "" and done.stderr.count("\n") == 1, done
    assert done.stderr.startswith("darkroom: ") and all(part in done.stderr for part in parts), done.stderr
    assert not any(word in done.stderr for word in ("Error", "reqwest", "hyper", "os error", "Os {", "Some(")), done.stderr


def test_what_cannot_begin_says_why_in_one_sentence(darkroom, tmp_path):
    photo = SAMPLES / "cat.jpg"
    started = time.monotonic()
    check_not_begun(run("http://127.0.0.1:1", "upload", photo), "nothing listens there", "--api")
    check_not_begun(run("http://nowhere.invalid", "jobs"), "its name is not known here")
    check_not_begun(run(darkroom.aws, "upload", photo), "no Darkroom", "403")
    assert time.monotonic() - started < 20
    (tmp_path / "recipe.json").write_text('[{"name":"web","resize":{"widht":3}}]')
    check_not_begun(run(darkroom, "upload", photo, "--recipe", tmp_path / "recipe.json"), "recipe.json", "widht")
    check_not_begun(run(darkroom, "upload", tmp_path / "none.jpg"), "none.jpg cannot be read: there is no such file")
    (tmp_path / "none").mkdir()
    check_not_begun(run(darkroom, "upload", tmp_path / "none"), "there is no photo")
    check_not_begun(run(darkroom, "upload", photo, "--out", photo), "cannot be made")
    for arguments in (["upload"], ["upload", photo, "--jobs", "0"], ["upload", photo, "--aws-addr", "127.0.0.1:1"], ["jobs", "--out", "x"]):
        assert run(darkroom, *arguments).returncode == USAGE, arguments


def test_a_key_is_asked_for_and_sent(tmp_path):
    darkroom = Darkroom(tmp_path / "data", options=("--api-key", "secret"))
    try:
        for arguments, environment in (((), {}), (("--api-key", "wrong"), {}), ((), {"DARKROOM_API_KEY": "wrong"})):
            check_not_begun(run(darkroom, "upload", SAMPLES / "cat.jpg", *arguments, **environment), "valid API key", "DARKROOM_API_KEY")
        assert run(darkroom, "upload", SAMPLES / "cat.jpg", "--api-key", "secret").returncode == COMPLETED
        assert "cat.jpg" in run(darkroom, "jobs", DARKROOM_API_KEY="secret").stdout
    finally:
        darkroom.kill()


def test_jobs_are_listed_newest_first(own_darkroom):
    darkroom = own_darkroom()
    names = ["a\x1b[31m.jpg", "b.jpg", "c.jpg"]
    slots = [darkroom.slot(filename=name) for name in names]
    failed = darkroom.upload(b"no photo", filename="bad.jpg")
    darkroom.finished(failed)
    rows = run(darkroom, "jobs").stdout.splitlines()
    assert rows[0].split() == ["created", "status", "shows", "photo", "job"] and len(rows) == 5
    assert [row.split()[-1] for row in rows[1:]] == [failed, *(slot["jobId"] for slot in reversed(slots))]
    assert "FAILED UNSUPPORTED_FORMAT" in rows[1] and "a\ufffd[31m.jpg" in rows[4]
    listed = lambda *arguments: [job["jobId"] for job in lines(run(darkroom, "jobs", "--json", *arguments))]
    assert listed("--status", "failed") == [failed]
    assert listed("--limit", "2") == [failed, slots[2]["jobId"]]
    assert listed("--key", slots[0]["key"]) == [slots[0]["jobId"]]
    assert lines(run(darkroom, "jobs", "--json", "--limit", "1")) == jobs(darkroom)[:1]
