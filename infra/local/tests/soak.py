"""Many uploads while events get lost, come twice or late, and the process is killed: afterwards, every job is right.

What befalls an event stands in its object's file name: `lost-`, `twice-` and `late-` are dropped, repeated at once and
repeated ten seconds later, by triggers that are put into the S3 database while nothing runs. Direct uploads lose no
event: only the daily sweep would find them.
"""

import hashlib
import json
import random
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import requests
from botocore.exceptions import BotoCoreError, ClientError
from conftest import PROCESSED, UPLOADS, encoded
from PIL import Image
from urllib3.exceptions import NewConnectionError

CLIENTS = 8
LATE_MS = 10_000

# How long a client goes on trying through kills and restarts, in seconds.
PATIENCE = 120

# The names of things in an event's body are form-encoded; these contain nothing to encode.
TRIGGERS = f"""
    CREATE TRIGGER lose BEFORE INSERT ON outbox WHEN instr(NEW.body, '/lost-') BEGIN SELECT RAISE(IGNORE); END;
    CREATE TRIGGER repeat AFTER INSERT ON outbox WHEN instr(NEW.body, '/twice-') BEGIN
        INSERT INTO outbox (body, due_at) VALUES (NEW.body, NEW.due_at);
    END;
    CREATE TRIGGER delay AFTER INSERT ON outbox WHEN instr(NEW.body, '/late-') BEGIN
        INSERT INTO outbox (body, due_at) VALUES (NEW.body, strftime('%s') * 1000 + {LATE_MS});
    END;
"""


class Soak:
    """One run; the same seed uploads the same photos in the same ways and draws the same moments for the kills."""

    def __init__(self, darkroom, seed, uploads, kills):
        """`darkroom` is running, and is stopped and started again on its folder."""
        self.darkroom, self.uploads = darkroom, uploads
        self.random = random.Random(seed)
        # After how many uploads that are through the process is killed.
        self.kills = sorted(self.random.sample(range(uploads // 10, uploads), kills))
        self.done = 0
        self.counting = threading.Lock()
        # Slots that a client was given and did not use: its URL expired during a kill, or the answer got lost.
        self.abandoned = set()
        self.cut_off = 0

    def run(self):
        """Uploads everything, waits until all is quiet, checks all; answers figures."""
        assert self.darkroom.stop() == 0
        with sqlite3.connect(self.darkroom.data_dir / "s3.sqlite") as database:
            database.executescript(TRIGGERS)
        database.close()
        self.darkroom.start()
        started = time.monotonic()
        plans = [self.plan(number) for number in range(self.uploads)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            killer = threading.Thread(target=self.kill)
            killer.start()
            keys = list(pool.map(self.upload, plans))
            killer.join()
        uploaded = time.monotonic() - started
        jobs = [self.darkroom.completed_by_key(key, 300) for key in keys]
        completed = time.monotonic() - started
        self.settle(jobs)
        quiet = time.monotonic() - started
        self.check(jobs)
        fates = Counter(fate or "as it should" for fate, *_ in plans)
        attempts = Counter(job["attempts"] for job in jobs)
        return {
            "uploads": len(jobs),
            "seconds to upload": round(uploaded, 1),
            "seconds until all are completed": round(completed, 1),
            "seconds until all is quiet": round(quiet, 1),
            "events": dict(fates),
            "jobs by attempts": dict(attempts),
            "slots given up by their clients": len(self.abandoned) + self.cut_off,
            "notices": len(self.darkroom.notices()),
        }

    def plan(self, number):
        """What befalls the event, whether the upload is direct, the file's name, and the photo."""
        is_direct = self.random.random() < 0.25
        draw = self.random.random()
        fate = "lost-" if draw < 0.05 and not is_direct else "twice-" if draw < 0.10 else "late-" if draw < 0.15 else ""
        noise = Image.frombytes("L", (40, 30), self.random.randbytes(1200))
        photo = encoded(noise.resize((320, 240)).convert("RGB"), "JPEG")
        return fate, is_direct, f"{fate}{number}.jpg", photo

    def upload(self, plan):
        """Takes one photo in, however often it takes; answers its object's key."""
        _, is_direct, name, photo = plan
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                key = self.put(name, photo) if is_direct else self.put_into_slot(name, photo)
            except (requests.ConnectionError, BotoCoreError, ClientError, Refused):
                assert time.monotonic() < deadline, f"{name} could not be uploaded"
                time.sleep(0.2)
                continue
            with self.counting:
                self.done += 1
            return key

    def put(self, name, photo):
        key = f"uploads/direct/{name}"
        self.darkroom.client("s3").put_object(Bucket=UPLOADS, Key=key, Body=photo)
        return key

    def put_into_slot(self, name, photo):
        try:
            answer = self.darkroom.post("/uploads", {"filename": name})
        except requests.ConnectionError as error:
            if not isinstance(getattr(error.args[0], "reason", None), NewConnectionError):
                # Sent and not answered: the slot may have been made, and nobody knows of it.
                with self.counting:
                    self.cut_off += 1
            raise
        if answer.status_code != 200:
            raise Refused(answer.text)
        slot = answer.json()
        while True:
            try:
                answer = requests.put(slot["url"], data=photo, headers=slot["headers"])
            except requests.ConnectionError:
                time.sleep(0.2)
                continue
            if answer.status_code == 200:
                return slot["key"]
            # Whether an earlier try, whose answer was cut off, came through shows later.
            self.abandoned.add(slot["key"])
            raise Refused(answer.text)

    def kill(self):
        """kill -9 and a new start, each time so many uploads are through."""
        for moment in self.kills:
            while self.done < moment:
                time.sleep(0.01)
            self.darkroom.kill()
            self.darkroom.start()

    def settle(self, jobs):
        """Waits until all were told of, and nothing is under way any more."""
        deadline = time.monotonic() + 180
        told = lambda: {notice["jobId"] for notice, _ in self.darkroom.notices()}
        while not told() >= {job["jobId"] for job in jobs} or self.darkroom.count("darkroom-queue"):
            assert time.monotonic() < deadline, "not quiet"
            time.sleep(0.5)

    def check(self, jobs):
        self.check_jobs(jobs)
        self.check_derivatives(jobs)
        self.check_notices(jobs)
        assert self.darkroom.count("darkroom-dlq") == 0
        assert self.darkroom.stop() == 0
        with sqlite3.connect(self.darkroom.data_dir / "s3.sqlite") as database:
            assert database.execute("SELECT count(*) FROM outbox").fetchone() == (0,), "events that nobody took"
        database.close()
        self.darkroom.start()

    def check_jobs(self, jobs):
        """None lost, none twice, and none that nobody asked for."""
        ids = {job["jobId"] for job in jobs}
        assert len(ids) == self.uploads
        others = [job for job in self.listed() if job["jobId"] not in ids]
        assert len(others) <= len(self.abandoned) + self.cut_off, others
        self.finished_elsewhere = [job for job in others if job["status"] != "PENDING"]
        # A slot whose URL expired between an upload that came through unanswered and its repetition.
        for job in self.finished_elsewhere:
            assert job["status"] == "COMPLETED" and job["source"]["key"] in self.abandoned, job

    def listed(self):
        jobs, cursor = [], {}
        while True:
            page = self.darkroom.get("/jobs", params={"limit": 100, **cursor}).json()
            jobs += page["jobs"]
            if "cursor" not in page:
                return jobs
            cursor = {"cursor": page["cursor"]}

    def check_derivatives(self, jobs):
        """What rows name exists, byte for byte; what exists is named by a row."""
        s3 = self.darkroom.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=PROCESSED, Prefix="processed/")
        stored = {entry["Key"] for page in pages for entry in page.get("Contents", [])}
        rows = [derivative for job in jobs + self.finished_elsewhere for derivative in job["derivatives"]]
        assert stored == {derivative["key"] for derivative in rows}

        def check(derivative):
            data = s3.get_object(Bucket=PROCESSED, Key=derivative["key"])["Body"].read()
            assert len(data) == derivative["bytes"] and hashlib.sha256(data).hexdigest() == derivative["sha256"]

        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(check, rows))

    def check_notices(self, jobs):
        """Each end was told at least once, and each time in the same words."""
        texts = {}
        for notice, _ in self.darkroom.notices():
            assert notice["status"] == "COMPLETED", notice
            texts.setdefault(notice["jobId"], set()).add(json.dumps(notice, sort_keys=True))
        assert texts.keys() == {job["jobId"] for job in jobs + self.finished_elsewhere}
        assert all(len(versions) == 1 for versions in texts.values())


class Refused(Exception):
    """An upload was answered with a refusal: a URL that expired, or a process that is going down."""
