"""Uploads hostile files one at a time, as a user would, and says what came of each and what it cost."""

import io
import struct
import time
from dataclasses import dataclass, field

import requests
from botocore.exceptions import BotoCoreError
from conftest import UPLOADS, download
from PIL import Image
from process_tree import ProcessTree

MAX_CPU_SECONDS = 5.0
MAX_SECONDS = 15.0
MAX_PEAK_MIB = 600.0

# When a job is given up, however busy the machine is with other things.
PATIENCE = 120

# Derivatives up to here are decoded, larger ones only opened.
MAX_PIXELS_DECODED = 20_000_000

# 100 megapixels are far more than Pillow takes without a warning.
Image.MAX_IMAGE_PIXELS = None

# What a file may say of its source, by Pillow's names and by TIFF's tags.
TALES = {"exif", "xmp", "icc_profile", "comment", "photoshop", "mp", "XML:com.adobe.xmp", "extension"}
TALES_OF_TIFF = {270, 271, 272, 305, 306, 315, 316, 700, 33_432, 33_723, 34_377, 34_665, 34_675, 34_853}


@dataclass
class Verdict:
    """What one file came to."""

    name: str
    # COMPLETED, the code of the failure, or what became of the process instead.
    outcome: str
    cpu: float
    seconds: float
    peak: float
    attempts: int = 0
    derivative: bytes = field(default=b"", repr=False)
    log: str = ""


class Trial:
    """A Darkroom that files are tried on; a new one whenever the last one did not survive."""

    def __init__(self, start):
        self.start, self.darkroom = start, None

    def fresh(self):
        if self.darkroom:
            self.darkroom.kill()
        self.darkroom = self.start()
        self.s3 = self.darkroom.client("s3")
        self.tree = ProcessTree(self.darkroom.process.pid)
        self.tree.at_rest()

    def run(self, name, data, derivatives=None):
        """Uploads one file and waits until its job is over and the process is quiet again."""
        if self.darkroom is None:
            self.fresh()
        log, cpu, started = len(self.darkroom.read_log()), self.tree.cpu_seconds(), self.tree.clock()
        with self.tree.weighed() as weight:
            key = f"uploads/hostile/{time.monotonic_ns()}/{name}"
            job = self.outcome(key, data, derivatives)
            seconds = self.tree.clock() - started
            if "status" in job:
                self.tree.at_rest()
        cpu = self.tree.cpu_seconds() - cpu
        outcome = job.get("errorCode", job.get("status", "NOT OVER"))
        if self.darkroom.process.poll() is not None:
            outcome, cpu, seconds = f"PROCESS DIED {self.darkroom.process.returncode}", 0.0, 0.0
        verdict = Verdict(name, outcome, cpu, seconds, weight.peak, job.get("attempts", 0))
        verdict.log = self.darkroom.read_log()[log:]
        if outcome == "COMPLETED":
            verdict.derivative = download(job).content
        if "status" not in job or verdict.peak > MAX_PEAK_MIB:
            # What still runs, or was not given back, is not to be counted against the next file.
            self.fresh()
        return verdict

    def outcome(self, key, data, derivatives):
        """The job once it is over; empty where it never is."""
        given_up, deadline = time.monotonic() + PATIENCE, self.tree.clock() + MAX_SECONDS
        try:
            # An object that is copied in cannot ask for derivatives of its own.
            job_id = self.darkroom.upload(data, derivatives=derivatives) if derivatives else None
            if not job_id:
                self.s3.put_object(Bucket=UPLOADS, Key=key, Body=data)
            while self.tree.clock() < deadline and time.monotonic() < given_up:
                if not job_id and (jobs := self.darkroom.jobs_of(key)):
                    job_id = jobs[0]["jobId"]
                if not job_id:
                    time.sleep(0.05)
                    continue
                job = self.darkroom.get(f"/jobs/{job_id}", params={"wait": 2}).json()
                if job["status"] in ("COMPLETED", "FAILED"):
                    return job
        except (requests.ConnectionError, BotoCoreError):
            # Nothing but its end should cut off an answer.
            self.darkroom.process.wait(timeout=10)
        return {}


def problems(entry, planted, verdict):
    """What is wrong with a verdict, by the file's entry in the manifest; nothing, if all is well."""
    found = []
    if verdict.outcome not in entry["allowed"]:
        found.append(f"{verdict.outcome}, not {' or '.join(entry['allowed'])}")
    elif verdict.attempts != 1:
        found.append(f"{verdict.attempts} attempts")
    if verdict.cpu > MAX_CPU_SECONDS:
        found.append(f"{verdict.cpu:.1f} s of processor time")
    if verdict.seconds > MAX_SECONDS:
        found.append(f"{verdict.seconds:.1f} s")
    if verdict.peak > MAX_PEAK_MIB:
        found.append(f"{verdict.peak:.0f} MiB")
    if "panicked at" in verdict.log or "stack backtrace" in verdict.log:
        found.append("a panic")
    if verdict.outcome == "COMPLETED" and "size" in entry:
        found += tales(verdict.derivative, entry, planted)
    return found


def tales(data, entry, planted):
    """What a derivative tells of its source that it should not, and how it differs from what it should be."""
    found = []
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height <= MAX_PIXELS_DECODED:
            image.load()
    except (OSError, SyntaxError, ValueError) as error:
        return [f"the derivative does not decode: {error}"]
    if (image.format, image.size) != (entry["format"], tuple(entry["size"])):
        found.append(f"the derivative is {image.format} {image.size}")
    if planted.encode() in data:
        found.append("the derivative holds what was planted")
    kept = TALES & image.info.keys()
    kept |= TALES_OF_TIFF & image.tag_v2.keys() if image.format == "TIFF" else set(image.getexif())
    if kept or getattr(image, "text", None):
        found.append(f"the derivative has metadata: {kept or image.text}")
    if not ends_where_it_should(image.format, data):
        found.append("the derivative has a tail")
    return found


def ends_where_it_should(format, data):
    match format:
        case "JPEG":
            return data.endswith(b"\xff\xd9")
        case "PNG":
            return data.endswith(b"\0\0\0\0IEND\xaeB`\x82")
        case "GIF":
            return data.endswith(b";")
        case "WEBP":
            return struct.unpack("<I", data[4:8])[0] + 8 == len(data)
        case "BMP":
            return struct.unpack("<I", data[2:6])[0] == len(data)
        case "TIFF":
            # Nothing says where a TIFF ends; what was planted has been looked for.
            return True
