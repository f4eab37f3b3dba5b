"""Starting, stopping, crashing, and many at once."""

import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from conftest import BINARY, PROCESSED, UPLOADS, Darkroom, encoded, picture, sample
from PIL import Image


def run(*arguments):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


def test_what_cannot_start_says_why_in_one_line(own_darkroom, tmp_path):
    running = own_darkroom("one")
    free = ("--api-addr", "127.0.0.1:0", "--aws-addr", "127.0.0.1:0")
    taken = running.api.removeprefix("http://")
    (tmp_path / "file").write_text("")
    for arguments, part in [
        (("--data-dir", tmp_path / "two", "--api-addr", taken, "--aws-addr", "127.0.0.1:0"), taken),
        (("--data-dir", running.data_dir, *free), "another"),
        (("--data-dir", tmp_path / "file" / "x", *free), "file"),
    ]:
        code, said = run(*arguments)
        assert code == 1 and part in said and said.count("\n") == 1, said


def test_bad_settings_are_reported_together(tmp_path):
    settings = {"MAX_PIXELS": "0", "DEFAULT_RECIPE": "no/such.json", "UPLOAD_URL_TTL_SECONDS": "x", "JOB_TTL_DAYS": "-1"}
    environment = {**os.environ, **settings}
    command = [BINARY, "--data-dir", tmp_path / "data", "--api-addr", "127.0.0.1:0", "--aws-addr", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)
    assert done.returncode == 1
    # Each once, whichever function it is for.
    assert {name: done.stderr.count(name) for name in settings} == dict.fromkeys(settings, 1), done.stderr


def test_a_polite_stop_keeps_everything(own_darkroom):
    darkroom = own_darkroom()
    job_id = darkroom.upload(sample("cat.jpg"))
    before = darkroom.completed(job_id)
    assert darkroom.stop() == 0
    darkroom.start()
    after = darkroom.get(f"/jobs/{job_id}").json()
    assert after["derivatives"][0]["sha256"] == before["derivatives"][0]["sha256"]
    assert after["downloadUrl"] == before["downloadUrl"] and picture(after).format == "JPEG"


def test_a_stop_does_not_wait_for_a_client_that_waits(own_darkroom):
    darkroom = own_darkroom()
    slot = darkroom.post("/uploads", {}).json()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(darkroom.get, slot["statusUrl"], params={"wait": 20})
        time.sleep(1)
        started = time.monotonic()
        assert darkroom.stop() == 0
        assert time.monotonic() - started < 10
        assert answer.result().status_code == 503 and answer.result().headers["retry-after"] == "1"


def test_no_log_level_tells_a_presigned_url(own_darkroom):
    darkroom = own_darkroom(RUST_LOG="trace")
    darkroom.completed(darkroom.upload(sample("cat.jpg")))
    log = darkroom.read_log()
    assert "photo processed" in log
    assert "X-Amz-Signature" not in log and "AWS4-HMAC" not in log


def test_the_watermark_text_is_a_setting(own_darkroom):
    plain, other = own_darkroom("plain"), own_darkroom("other", WATERMARK_TEXT="somebody else")
    hashes = {d.completed(d.upload(sample("cat.jpg")))["derivatives"][0]["sha256"] for d in (plain, other)}
    assert len(hashes) == 2


def noisy_photo(number):
    """A photo like no other, big enough to take the worker a moment."""
    noise = Image.effect_noise((640, 480), 64)
    noise.putpixel((0, 0), number)
    return encoded(noise.convert("RGB"), "JPEG", quality=90)


def test_a_kill_with_40_jobs_in_flight_loses_and_repeats_nothing(own_darkroom):
    darkroom = own_darkroom()
    photos = [noisy_photo(number) for number in range(40)]
    slots = darkroom.post("/uploads/batch", {"files": [{}] * 40}).json()["jobs"]
    with ThreadPoolExecutor(8) as pool:
        put = lambda pair: requests.put(pair[0]["url"], data=pair[1], headers=pair[0]["headers"]).status_code
        assert set(pool.map(put, zip(slots, photos))) == {200}
    seen = [darkroom.get(slot["statusUrl"]).json() for slot in slots]
    darkroom.kill()
    done = [job for job in seen if job["status"] == "COMPLETED"]
    assert len(done) < 40, "too fast to be caught in flight"

    darkroom.start()
    jobs = [darkroom.completed(slot["jobId"], 120) for slot in slots]
    assert [job for job in jobs if job in done] == done, "what a client saw completed has changed"
    assert all(job["attempts"] <= 2 for job in jobs)
    s3 = darkroom.client("s3")
    stored = [
        object["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=PROCESSED, Prefix="processed/")
        for object in page["Contents"]
    ]
    assert sorted(stored) == sorted(job["derivatives"][0]["key"] for job in jobs)
    listed = darkroom.get("/jobs", params={"limit": 100}).json()["jobs"]
    assert len(listed) == 40 and {job["status"] for job in listed} == {"COMPLETED"}
    expected = {(slot["jobId"], "COMPLETED") for slot in slots}
    # A kill between a job's last write and its notice leaves the notice to reconcile, a minute later.
    deadline = time.monotonic() + 90
    while (keys := {(notice["jobId"], notice["status"]) for notice, _ in darkroom.notices()}) != expected:
        assert keys < expected and time.monotonic() < deadline
        time.sleep(0.5)
    assert darkroom.count("darkroom-dlq") == 0


def test_200_uploads_from_8_clients_all_complete(own_darkroom):
    darkroom = own_darkroom()
    photo = sample("cat.jpg")

    def one(number):
        if number % 4:
            return darkroom.upload(photo, filename=f"{number}.jpg")
        key = f"uploads/direct/{number}.jpg"
        s3.put_object(Bucket=UPLOADS, Key=key, Body=photo)
        return darkroom.completed_by_key(key, 120)["jobId"]

    s3 = darkroom.client("s3")
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(one, range(200)))
        jobs = list(pool.map(lambda job_id: darkroom.completed(job_id, 120), ids))
    assert len({job["jobId"] for job in jobs}) == 200
    assert len({job["derivatives"][0]["sha256"] for job in jobs}) == 1
    deadline = time.monotonic() + 30
    while darkroom.count("darkroom-queue") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert darkroom.count("darkroom-queue") == darkroom.count("darkroom-dlq") == 0


def test_a_poison_message_harms_no_other_and_ends_in_the_dead_letter_queue(own_darkroom):
    darkroom = own_darkroom()
    sqs = darkroom.client("sqs")
    url = sqs.get_queue_url(QueueName="darkroom-queue")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    sqs.send_message(QueueUrl=url, MessageBody="not JSON")
    darkroom.completed(darkroom.upload(sample("cat.jpg")))
    deadline = time.monotonic() + 60
    while not darkroom.count("darkroom-dlq"):
        assert time.monotonic() < deadline, "the poison never reached the dead-letter queue"
        time.sleep(0.5)
    dlq = sqs.get_queue_url(QueueName="darkroom-dlq")["QueueUrl"]
    assert sqs.receive_message(QueueUrl=dlq)["Messages"][0]["Body"] == "not JSON"
