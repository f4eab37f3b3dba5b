"""The calls of one job to AWS, and the write units of its rows.

Counted from the code, for a photo that goes well; a test of nothing but arithmetic could not tell, so they were compared
with what the functions' own binaries sent.
"""

from dataclasses import dataclass
from functools import cache
from math import ceil

from .parameters import ASSUMED, MEASURED

# What each function does for one job, in this order; `where` is the code that does it.
CALLS = [
    ("request-upload", "DynamoDB", "PutItem", "created", "`JobTable::create` in `offer`"),
    ("client", "S3", "PUT", None, "the presigned URL"),
    ("dispatcher", "DynamoDB", "GetItem", None, "`JobTable::update` in `job_of`"),
    ("dispatcher", "DynamoDB", "PutItem", "arrived", "`Job::arrive`"),
    ("dispatcher", "SQS", "SendMessageBatch", None, "`WorkQueue::send`"),
    ("dispatcher", "DynamoDB", "PutItem", "queued", "`Job::queued`"),
    ("mapping", "SQS", "ReceiveMessage", None, "Lambda's, one a batch"),
    ("worker", "DynamoDB", "GetItem", None, "`JobTable::update` in `claim`"),
    ("worker", "DynamoDB", "PutItem", "claimed", "`Job::claim`"),
    ("worker", "S3", "GET", None, "`Bucket::fetch`"),
    ("worker", "S3", "PUT", None, "`Bucket::put_derivative`, one a derivative"),
    ("worker", "S3", "PUT", None, "`Bucket::put_json`: `results/{jobId}.json`"),
    ("worker", "DynamoDB", "PutItem", "completed", "`Job::complete`"),
    ("worker", "SNS", "Publish", None, "`Topic::publish`"),
    ("worker", "DynamoDB", "PutItem", "announced", "`Job::announced`"),
    ("mapping", "SQS", "DeleteMessageBatch", None, "Lambda's, one a batch"),
    ("job-status", "DynamoDB", "GetItem", None, "`JobStatus::wait_for`, one a look"),
    ("job-status", "DynamoDB", "PutItem", "URLs kept", "`Job::keep_urls`, at the first look after the end"),
    ("client", "S3", "GET", None, "the download URL"),
]  # fmt: skip

TABLE, BY_KEY, BY_STATUS, BY_DUE = STORES = ("table", "byKey", "byStatus", "byDue")

# An entry of `byDue` has keys only: `jobId`, `dueShard` and `dueAt`, with their names.
DUE_ENTRY = 86


@dataclass(frozen=True)
class Row:
    """A job's row, as far as DynamoDB's bill knows it."""

    bytes: int
    status: str
    due: bool = True

    @property
    def units(self):
        return ceil(self.bytes / 1024)


def rows():
    """A job's row after each write."""
    sizes = {**MEASURED["row"]}
    # The first derivative's URL stands in the row twice.
    sizes["URLs kept"] += 2 * ASSUMED["session_token"]
    status = {"claimed": "PROCESSING", "completed": "COMPLETED", "announced": "COMPLETED", "URLs kept": "COMPLETED"}
    return {
        name: Row(size, status.get(name, "PENDING"), due=name not in ("announced", "URLs kept"))
        for name, size in sizes.items()
    }


ROWS = rows()
BEFORE = {"arrived": "created", "queued": "arrived", "claimed": "queued", "completed": "claimed", "announced": "completed",
          "URLs kept": "announced", "released": "claimed"}  # fmt: skip


@cache
def writes(name):
    """Write units of one PutItem: `{(store, partition): units}`, where a partition is `None` or a shard's kind.

    An index whose key changes is written twice: the old entry is deleted, the new one put (Amazon DynamoDB Developer Guide,
    "Using global secondary indexes", considerations for write operations).
    """
    before, after = ROWS.get(BEFORE.get(name)), ROWS["claimed" if name == "released" else name]
    larger = max(before.units if before else 0, after.units)
    found = {(TABLE, None): larger, (BY_KEY, None): larger}
    if before and before.status != after.status:
        found[BY_STATUS, before.status] = before.units
        found[BY_STATUS, after.status] = after.units
    else:
        found[BY_STATUS, after.status] = larger
    # `dueAt` changes with every write but the last.
    due = ceil(DUE_ENTRY / 1024) * ((before.due if before else 0) + after.due)
    return {**found, **({(BY_DUE, "due"): due} if due else {})}


def puts():
    """The writes of one job, in order."""
    return [row for _, _, call, row, _ in CALLS if call == "PutItem"]


def units_of(names):
    """Write units of these writes together, by store."""
    sums = dict.fromkeys(STORES, 0)
    for name in names:
        for (store, _), units in writes(name).items():
            sums[store] += units
    return sums


def count(service, call, functions=None):
    """How often a job makes a call."""
    return sum(
        (who_service, who_call) == (service, call) and (functions is None or who in functions)
        for who, who_service, who_call, _, _ in CALLS
    )


def slimmed():
    """Write units of a job if `byKey` and `byStatus` held keys only, as `byDue` does: by store."""
    sums = units_of(puts())
    changes = sum(ROWS[BEFORE[name]].status != ROWS[name].status for name in puts() if name in BEFORE)
    return {**sums, BY_KEY: 1, BY_STATUS: 1 + 2 * changes}
