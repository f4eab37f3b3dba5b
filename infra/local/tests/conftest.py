"""Starts the real binary and talks to it as a user would: HTTP, the AWS CLI, boto3.

Nothing here reaches into the process; what S3 and SQS alone could do is done in the files that stand for them. Every test gets its own `Darkroom`, or shares the session's where it leaves no
trace that another test would see.
"""

import base64
import functools
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import requests
from botocore.config import Config
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "assets" / "samples"
BINARY = Path(os.environ.get("DARKROOM_BINARY", ROOT / "target" / "debug" / "darkroom"))
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "darkroom",
    "AWS_SECRET_ACCESS_KEY": "darkroom-secret",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
UPLOADS, PROCESSED = "darkroom-uploads", "darkroom-processed"


class Darkroom:
    """One running `darkroom`."""

    def __init__(self, data_dir, environment=None, options=()):
        self.data_dir, self.options = data_dir, options
        self.environment = environment or {}
        self.api = self.aws = "http://127.0.0.1:0"
        self.start()

    def start(self):
        """Starts it on free ports, and again on the same ones: a presigned URL names its port."""
        addresses = ["--api-addr", self.api.removeprefix("http://"), "--aws-addr", self.aws.removeprefix("http://")]
        self.log = open(Path(self.data_dir).with_suffix(".log"), "a+")
        self.process = subprocess.Popen(
            [BINARY, "--data-dir", self.data_dir, *addresses, *self.options],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, **self.environment},
            # As Python has it, a write beyond a file size limit is an error, and does not kill.
            restore_signals=False,
        )
        self.banner = ""
        while "s3 cp" not in self.banner:
            line = self.process.stdout.readline()
            assert line, f"darkroom did not start: {self.read_log()}"
            self.banner += line
        self.api = re.search(r"API\s+(http://\S+)", self.banner)[1]
        self.aws = re.search(r"AWS endpoint\s+(http://\S+)", self.banner)[1]

    def read_log(self):
        self.log.flush()
        return Path(self.log.name).read_text()

    def kill(self):
        """kill -9: no goodbye."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """A polite stop; answers the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        assert "something still ran" not in self.read_log()
        return code

    @functools.cache
    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.aws,
            aws_access_key_id="darkroom",
            aws_secret_access_key="darkroom-secret",
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1}),
        )

    def cli(self, *arguments):
        """Runs the AWS CLI and answers what it printed."""
        aws = Path(sys.executable).with_name("aws")
        command = [aws, "--endpoint-url", self.aws, *arguments]
        done = subprocess.run(command, env={**os.environ, **CREDENTIALS}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def count(self, queue):
        """How many messages are in the queue, those in flight and those delayed included."""
        sqs, url = self.client("sqs"), self.queue_url(queue)
        names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
        return sum(map(int, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))

    def notices(self):
        """What the topic was told so far: each message with its attributes."""
        told, place = [], {"limit": 1000, "after": 0}
        while page := requests.get(f"{self.aws}/_darkroom/notifications", params=place).json():
            told += page
            place["after"] = page[-1]["sequence"]
        return [(json.loads(entry["message"]), entry["attributes"]) for entry in told]

    def execute(self, file, statement, *values):
        """Runs SQL on a file of the data folder: what AWS would do by itself, and nobody can ask it for."""
        with closing(sqlite3.connect(Path(self.data_dir) / f"{file}.sqlite", timeout=30)) as database, database:
            return database.execute(statement, values).fetchall()

    def lose_events(self):
        """From here on S3 loses every event but those that are handed to `deliver`."""
        self.execute(
            "s3",
            """CREATE TRIGGER IF NOT EXISTS lose AFTER INSERT ON outbox WHEN NEW.body NOT LIKE '%"by":"hand"%'
               BEGIN DELETE FROM outbox WHERE id = NEW.id; END""",
        )

    def deliver(self, event):
        """Has S3 deliver an event; returns once the dispatcher has taken it."""
        body = json.dumps({**event, "by": "hand"}, separators=(",", ":"))
        self.execute("s3", "INSERT INTO outbox (body, due_at) VALUES (?, 0)", body)
        # The outbox is looked at when something is uploaded. A folder is no photo.
        self.client("s3").put_object(Bucket=UPLOADS, Key="uploads/folder/", Body=b"")
        deadline = time.monotonic() + 90
        while self.execute("s3", "SELECT 1 FROM outbox WHERE body = ?", body):
            assert time.monotonic() < deadline, f"not taken: {self.read_log()[-3000:]}"
            time.sleep(0.05)

    def queue_url(self, name="darkroom-queue"):
        return self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]

    def get(self, path, **options):
        return requests.get(self.api + path, **options)

    def post(self, path, body=None, **options):
        return requests.post(self.api + path, json=body, **options)

    def slot(self, **wishes):
        answer = self.post("/uploads", wishes)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, photo, **wishes):
        """Takes a photo through the API; answers the job's id."""
        slot = self.slot(**wishes)
        answer = requests.put(slot["url"], data=photo, headers=slot["headers"])
        assert answer.status_code == 200, answer.text
        return slot["jobId"]

    def finished(self, job_id, seconds=60):
        """The job once it is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job = self.get(f"/jobs/{job_id}?wait=5").json()
            if job["status"] in ("COMPLETED", "FAILED"):
                return job
        raise AssertionError(f"not over after {seconds} s: {job}\n{self.read_log()[-3000:]}")

    def completed(self, job_id, seconds=60):
        job = self.finished(job_id, seconds)
        assert job["status"] == "COMPLETED", job
        return job

    def jobs_of(self, key):
        return self.get("/jobs", params={"key": key}).json()["jobs"]

    def completed_by_key(self, key, seconds=60):
        """The one job of an object that was copied in, once it is completed."""
        deadline = time.monotonic() + seconds
        while not (jobs := self.jobs_of(key)):
            assert time.monotonic() < deadline, f"no job for {key}"
            time.sleep(0.1)
        assert len(jobs) == 1, jobs
        return self.completed(jobs[0]["jobId"], seconds)


@dataclass(frozen=True)
class Traces:
    """Everything that a request could have left: rows, objects, messages, notices."""

    rows: int
    objects: frozenset
    messages: int
    notices: int

    @classmethod
    def of(cls, darkroom):
        s3 = darkroom.client("s3")
        pages = [page for bucket in (UPLOADS, PROCESSED) for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)]
        return cls(
            darkroom.client("dynamodb").scan(TableName="darkroom-jobs", Select="COUNT")["Count"],
            frozenset(object["Key"] for page in pages for object in page.get("Contents", [])),
            sum(darkroom.count(queue) for queue in ("darkroom-queue", "darkroom-dlq")),
            len(darkroom.notices()),
        )


@pytest.fixture(scope="session")
def darkroom(tmp_path_factory):
    """A Darkroom that tests share."""
    instance = Darkroom(tmp_path_factory.mktemp("shared") / "data")
    yield instance
    assert instance.stop() == 0


@pytest.fixture
def own_darkroom(tmp_path):
    """Starts Darkrooms of the test's own, on the folder that it names."""
    started = []

    def start(name="data", **environment):
        started.append(Darkroom(tmp_path / name, environment))
        return started[-1]

    yield start
    for instance in started:
        instance.process.kill()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A Darkroom where nothing happens but what this module's tests ask for."""
    instance = Darkroom(tmp_path_factory.mktemp("quiet") / "data")
    yield instance
    assert instance.stop() == 0


def eventually(check, seconds=60):
    """What `check` answers, once that is something."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def sample(name):
    return (SAMPLES / name).read_bytes()


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def as_base64(data):
    return base64.b64encode(data).decode()


def download(job):
    answer = requests.get(job["downloadUrl"])
    assert answer.status_code == 200, answer.text
    return answer


def picture(job):
    """The first derivative, decoded by somebody else's decoder."""
    return Image.open(io.BytesIO(download(job).content))
