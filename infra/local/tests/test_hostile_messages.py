"""Messages in the work queue that the dispatcher never sent: each is deleted, retried or kept as evidence, and harms
no job but the one that it is about.
"""

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from conftest import BINARY, CREDENTIALS, PROCESSED, ROOT, UPLOADS, Traces, encoded, eventually
from PIL import Image

PHOTO = encoded(Image.new("RGB", (9, 9), "#806040"), "PNG")
DEAD = "darkroom-dlq"


@pytest.fixture(scope="module")
def impatient(quiet):
    """A Darkroom whose messages come back after two seconds, instead of the six minutes that Lambda asks for."""
    attributes = {"VisibilityTimeout": "2"}
    quiet.client("sqs").set_queue_attributes(QueueUrl=quiet.queue_url(), Attributes=attributes)
    return quiet


def send(darkroom, body, **options):
    return darkroom.client("sqs").send_message(QueueUrl=darkroom.queue_url(), MessageBody=body, **options)["MessageId"]


def dead_letters(darkroom):
    """Takes every message out of the dead-letter queue: body and number of receives, this one included."""
    sqs, url, taken = darkroom.client("sqs"), darkroom.queue_url(DEAD), []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]).get("Messages"):
        taken += [(m["Body"], int(m["Attributes"]["ApproximateReceiveCount"])) for m in messages]
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return taken


def work(job_id, key, bucket=UPLOADS, **more):
    return json.dumps({"jobId": job_id, "s3Key": key, "bucket": bucket, **more})


def test_poison_ends_in_the_dead_letter_queue_and_its_batch_mates_do_not(impatient):
    mine = impatient.slot(filename="mine.png", contentType="image/png")
    other = impatient.slot(filename="other.png", contentType="image/png")
    poison = {
        "not JSON": "not JSON",
        "nothing": " ",
        "a list": json.dumps([mine["jobId"], mine["key"], UPLOADS]),
        "a string": '"x"',
        "null": "null",
        "no fields": "{}",
        "too few fields": json.dumps({"jobId": mine["jobId"], "s3Key": mine["key"]}),
        "an unknown version of it": json.dumps({"version": 2, "job": {"id": mine["jobId"]}}),
        "a field twice": work(mine["jobId"], mine["key"])[:-1] + ',"bucket":"x"}',
        "an id that is none": work("../x", mine["key"]),
        "no job": work(str(uuid.uuid4()), "uploads/x.png"),
        "another job's key": work(mine["jobId"], other["key"]),
        "another bucket": work(mine["jobId"], mine["key"], bucket=PROCESSED),
        "10,000 deep": "[" * 10_000 + "]" * 10_000,
        "256 KiB of a field": json.dumps({"jobId": mine["jobId"], "s3Key": "x" * 262_000, "bucket": UPLOADS}),
        "1 MiB of nothing": "x" * 1_048_576,
        "a size that is none": work(mine["jobId"], mine["key"], size=-1),
    }
    for body in poison.values():
        send(impatient, body)
    slots = impatient.post("/uploads/batch", {"files": [{"contentType": "image/png"}] * 10}).json()["jobs"]
    for slot in slots:
        assert requests.put(slot["url"], data=PHOTO, headers=slot["headers"]).status_code == 200
    jobs = [impatient.completed(slot["jobId"]) for slot in slots]
    assert {job["attempts"] for job in jobs} == {1}

    eventually(lambda: impatient.count(DEAD) == len(poison))
    # Received five times each by the worker, and now by us.
    assert sorted(dead_letters(impatient)) == sorted((body, 6) for body in poison.values())
    assert impatient.count("darkroom-queue") == 0
    # Neither of the two jobs that were named has noticed, and both go on.
    for slot in (mine, other):
        job = impatient.get(slot["statusUrl"]).json()
        assert job["status"] == "PENDING" and "attempts" not in job
        assert requests.put(slot["url"], data=PHOTO, headers=slot["headers"]).status_code == 200
        assert impatient.completed(slot["jobId"])["attempts"] == 1


def test_a_message_that_says_too_little_too_much_or_comes_twice_is_one_piece_of_work(impatient):
    impatient.lose_events()
    slot = impatient.slot(filename="once.png", contentType="image/png")
    assert requests.put(slot["url"], data=PHOTO, headers=slot["headers"]).status_code == 200
    least = work(slot["jobId"], slot["key"])
    most = work(slot["jobId"], slot["key"], version=7, size=len(PHOTO), receivedBy=["a", {"b": 1}])
    for body in (least, most, least, most, most + " " * (262_144 - len(most))):
        send(impatient, body)
    job = impatient.completed(slot["jobId"])
    assert job["attempts"] == 1
    eventually(lambda: impatient.count("darkroom-queue") == 0)
    before = Traces.of(impatient)
    for body in (least, most):
        send(impatient, body)
    eventually(lambda: impatient.count("darkroom-queue") == 0)
    # It is deleted, since the job is over, and nothing is done or told again.
    assert Traces.of(impatient) == before and impatient.get(slot["statusUrl"]).json() == job
    assert [notice["jobId"] for notice, _ in impatient.notices()].count(slot["jobId"]) == 1


def about_to_be_received_for_the_last_time(darkroom, body, received=4, on_arrival=0):
    """Sends a message that was received before, as its counts have it."""
    message = send(darkroom, body, DelaySeconds=3)
    counts = "UPDATE message SET receive_count = ?, count_on_arrival = ? WHERE message_id = ? AND receipt IS NULL RETURNING 1"
    assert darkroom.execute("sqs", counts, received, on_arrival, message)


@contextmanager
def unreadable(darkroom, key):
    """S3 cannot read an object from its disk, and answers 500."""
    ((file,),) = darkroom.execute("s3", "SELECT file FROM object WHERE key = ?", key)
    (path,) = Path(darkroom.data_dir).glob(f"objects/*/{file}")
    path.rename(path.with_suffix(".away"))
    try:
        yield
    finally:
        path.with_suffix(".away").rename(path)


@pytest.mark.parametrize("received, on_arrival", [(4, 0), (5, 1), (9, 5)])
def test_the_last_receive_of_work_that_never_succeeds_fails_its_job(impatient, received, on_arrival):
    """The fifth receive is the last; a message that was moved between queues may count more."""
    impatient.lose_events()
    slot = impatient.slot(filename="unreadable.png", contentType="image/png")
    assert requests.put(slot["url"], data=PHOTO, headers=slot["headers"]).status_code == 200
    body = work(slot["jobId"], slot["key"])
    with unreadable(impatient, slot["key"]):
        about_to_be_received_for_the_last_time(impatient, body, received, on_arrival)
        job = impatient.finished(slot["jobId"])
    assert (job["status"], job["errorCode"], job["attempts"]) == ("FAILED", "RETRIES_EXHAUSTED", 1)
    if received - on_arrival == 4:
        eventually(lambda: impatient.count(DEAD) == 1)
        assert [found for found, _ in dead_letters(impatient)] == [body]
    eventually(lambda: impatient.count("darkroom-queue") == 0)
    assert [notice["status"] for notice, _ in impatient.notices() if notice["jobId"] == slot["jobId"]] == ["FAILED"]


def test_a_photo_replaced_on_the_last_receive_has_all_its_receives_before_it(impatient):
    impatient.lose_events()
    slot = impatient.slot(filename="replaced.png", contentType="image/png")
    assert requests.put(slot["url"], data=PHOTO, headers=slot["headers"]).status_code == 200
    # The work item is about a photo that stood there before.
    about_to_be_received_for_the_last_time(impatient, work(slot["jobId"], slot["key"], eTag="0" * 32))
    assert impatient.completed(slot["jobId"])["attempts"] == 2
    eventually(lambda: impatient.count("darkroom-queue") == 0)
    assert impatient.count(DEAD) == 0


@pytest.mark.parametrize("how", ["darkroom redrive", "scripts/redrive", "the console's button"])
def test_a_redrive_of_the_dead_letter_queue_starts_the_job_anew(impatient, how):
    impatient.lose_events()
    slot = impatient.slot(filename="again.png", contentType="image/png")
    assert requests.put(slot["url"], data=PHOTO, headers=slot["headers"]).status_code == 200
    with unreadable(impatient, slot["key"]):
        about_to_be_received_for_the_last_time(impatient, work(slot["jobId"], slot["key"]))
        assert impatient.finished(slot["jobId"])["errorCode"] == "RETRIES_EXHAUSTED"
        eventually(lambda: impatient.count(DEAD) == 1)

    if how == "darkroom redrive":
        command = [BINARY, "redrive", "--aws-addr", impatient.aws.removeprefix("http://")]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.endswith("darkroom-queue: 1\n")
    elif how == "scripts/redrive":
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        command = [ROOT / "scripts" / "redrive", impatient.queue_url(), "--endpoint-url", impatient.aws]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **CREDENTIALS, "PATH": path})
    else:
        source = impatient.client("sqs").get_queue_attributes(QueueUrl=impatient.queue_url(DEAD), AttributeNames=["QueueArn"])
        impatient.client("sqs").start_message_move_task(SourceArn=source["Attributes"]["QueueArn"])
    job = eventually(lambda: (found := impatient.get(slot["statusUrl"]).json())["status"] == "COMPLETED" and found)
    assert job["attempts"] == 2 and "errorCode" not in job
    assert impatient.count(DEAD) == 0
    told = [notice["status"] for notice, _ in impatient.notices() if notice["jobId"] == slot["jobId"]]
    assert told == ["FAILED", "COMPLETED"]
