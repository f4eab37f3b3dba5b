"""How long a photo takes by the worker's memory, and what a month of photos costs."""

from .calls import ROWS, count, puts, slimmed, units_of
from .parameters import ASSUMED, DEPLOYED, LIMITS, MEASURED, PRICES

DAYS = 30
HANDLERS = ("request-upload", "dispatcher", "job-status")


def vcpus(memory):
    """What Lambda gives of the processor with so many MB."""
    return min(memory / LIMITS["mb_a_vcpu"], LIMITS["vcpus_most"])


def waiting(recipe):
    """Seconds that the worker waits for other services while it does one photo."""
    transfer = (ASSUMED["photo"] + ASSUMED["derivative"][recipe]) / ASSUMED["s3_bytes_per_second"]
    calls = count("DynamoDB", "GetItem", ["worker"]) + count("DynamoDB", "PutItem", ["worker"])
    return 3 * ASSUMED["s3"] + transfer + calls * ASSUMED["dynamodb"] + ASSUMED["sns"]


def computing(memory, recipe, cpu=None):
    """Seconds of one photo's computing. Above one vCPU only the classifier gains, which runs beside rendering."""
    cpu = (cpu or MEASURED["photo_cpu"][recipe]) / 1000
    return max(cpu - MEASURED["classify_cpu"] / 1000, cpu / vcpus(memory))


def pace(memory, recipe, cpu=None):
    """Seconds from one photo to the next in a batch: while some wait for S3, others compute, as far as there are slots."""
    busy = (cpu or MEASURED["photo_cpu"][recipe]) / 1000 / min(vcpus(memory), DEPLOYED["slots"] - 1)
    return max(busy, (waiting(recipe) + computing(memory, recipe, cpu)) / DEPLOYED["slots"])


def batch_seconds(memory, recipe, batch, cpu=None):
    """Seconds of an invocation of the worker with so many photos."""
    return waiting(recipe) + computing(memory, recipe, cpu) + (batch - 1) * pace(memory, recipe, cpu)


def handler_seconds(name):
    """Seconds of an invocation of another function, without what it waits for a job to end."""
    calls = {
        "request-upload": 1 * ASSUMED["dynamodb"],
        "dispatcher": 3 * ASSUMED["dynamodb"] + ASSUMED["sqs"],
        "job-status": 2 * ASSUMED["dynamodb"],
    }
    return calls[name] + ASSUMED["handler_cpu"] / 1000 / vcpus(DEPLOYED["memory"])


def latency(memory, recipe):
    """Seconds from the end of a PUT to COMPLETED, warm and with nobody else about."""
    worker = waiting(recipe) + computing(memory, recipe)
    return ASSUMED["s3_event"] + handler_seconds("dispatcher") + ASSUMED["sqs"] + worker


def looks(seconds):
    """How often a client that holds the line has the row read until so many seconds have passed."""
    pause, growth, longest = DEPLOYED["status_polls"]
    passed, reads = 0, 1
    while passed < seconds:
        passed += pause
        pause = min(pause * growth, longest)
        reads += 1
    return reads


def start_seconds(name, memory):
    """Seconds of a cold start that are billed, as they are of every function with a runtime of its own."""
    cpu = MEASURED["worker_start_cpu" if name == "worker" else "start_cpu"]
    return cpu / 1000 / vcpus(memory)


def gb_seconds(memory, recipe, batch=1, cpu=None):
    """GB-seconds of the worker for one photo, cold starts included."""
    seconds = batch_seconds(memory, recipe, batch, cpu) + ASSUMED["cold_share"] * start_seconds("worker", memory)
    return seconds / batch * memory / 1024


def handler_gb_seconds(memory, recipe):
    """GB-seconds of the other functions for one job, whose client holds the line from the PUT to the end."""
    cold = ASSUMED["cold_share"] * start_seconds("other", DEPLOYED["memory"])
    seconds = sum(handler_seconds(name) + cold for name in HANDLERS) + latency(memory, recipe)
    return seconds * DEPLOYED["memory"] / 1024


def log_bytes(batch):
    """Bytes of log for one job; CloudWatch adds 26 to each line."""
    own = sum(line + 26 for lines in MEASURED["log"].values() for line in lines)
    platform = sum(line + 26 for line in ASSUMED["platform_log"])
    return own + platform * (len(HANDLERS) + 1 / batch)


def job(recipe="default", memory=None, batch=1, arch="x86-64"):
    """Dollars of one photo, line by line, without what is stored."""
    memory = memory or DEPLOYED["worker_memory"]
    gb_second = PRICES["gb_second"][arch]
    api = 2
    reads = count("DynamoDB", "GetItem", ["dispatcher", "worker"]) + looks(latency(memory, recipe))
    return {
        "Lambda, worker": gb_seconds(memory, recipe, batch) * gb_second,
        "Lambda, other functions": handler_gb_seconds(memory, recipe) * gb_second,
        "Lambda, requests": (len(HANDLERS) + 1 / batch) * PRICES["invocation"],
        "DynamoDB, writes": sum(units_of(puts()).values()) * PRICES["wru"],
        "DynamoDB, reads": reads * PRICES["rru"],
        "S3, PUT": count("S3", "PUT") * PRICES["s3_put"],
        "S3, GET": count("S3", "GET") * PRICES["s3_get"],
        "SQS": (count("SQS", "SendMessageBatch") + 2 / batch) * PRICES["sqs"],
        "SNS": count("SNS", "Publish") * PRICES["sns"],
        "HTTP API": api * PRICES["http_api"],
        "CloudWatch, logs": log_bytes(batch) / 1e9 * PRICES["log_gb"],
    }


def compute(lines):
    """What Lambda's GB-seconds are of a photo's dollars."""
    return lines["Lambda, worker"] + lines["Lambda, other functions"]


def standing():
    """Dollars a month that do not depend on the number of photos: an idle mapping's long polls of 20 seconds, by five
    pollers, and reconcile, which reads eight shards and a bookmark and looks into the dead-letter queue."""
    seconds = DAYS * 86_400
    polls = LIMITS["pollers_first"] * seconds / 20
    runs = seconds / DEPLOYED["reconcile_every"]
    reads = runs * (DEPLOYED["shards"] * 0.5 + 1)
    lambdas = runs * (PRICES["invocation"] + 0.1 * DEPLOYED["memory"] / 1024 * PRICES["gb_second"]["x86-64"])
    return (polls + runs) * PRICES["sqs"] + reads * PRICES["rru"] + lambdas


def sweep(photos):
    """Dollars a month of the daily sweep: it lists every object, and reads the row of each that is younger than the row's
    time to live, which is all of a month."""
    row = -(-ROWS["URLs kept"].bytes // 4096)
    listing = photos / 1000 * PRICES["s3_put"]
    return DAYS * (listing + photos * row * PRICES["rru"])


def storage(photos, recipe):
    """Dollars a month of what a month's photos leave behind: photos, derivatives, and rows in the table and two indexes."""
    left = photos * (ASSUMED["photo"] + ASSUMED["derivative"][recipe]) / 2**30
    rows = photos * 3 * (ROWS["URLs kept"].bytes + 100) / 2**30
    dollars = rows * PRICES["dynamodb_gb_month"]
    for tier, price in PRICES["s3_gb_month"]:
        dollars += min(left, tier) * price
        left -= min(left, tier)
    return dollars


def saved_by_slim_indexes():
    """Dollars of one job that indexes with keys only would save."""
    return (sum(units_of(puts()).values()) - sum(slimmed().values())) * PRICES["wru"]
