"""The tables of docs/scale.md, each between markers that name it."""

import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import product

from . import cost
from .burst import Burst, Settings
from .calls import CALLS, ROWS, STORES, puts, slimmed, units_of, writes
from .parameters import ASSUMED, DEPLOYED, LIMITS, MEASURED, PYTHON

MEMORIES = (1024, 1769, 2048, 3008)
BATCHES = (1, 2, 5, 10)
MONTHS = (10_000, 10_000_000)

BURSTS = [
    ("AWS's defaults", Settings(1000)),
    ("all clients hold the line", Settings(1000, holds=True)),
    ("the same, 200 reserved for `job-status`", Settings(1000, holds=True, status_reserved=200)),
    ("AWS's defaults", Settings(100_000)),
    ("`MaximumConcurrency` 80", Settings(100_000, maximum=80)),
    ("`MaximumConcurrency` 200, concurrency 10,000, table warmed to 12,000",
     Settings(100_000, maximum=200, account=10_000, warm=12_000)),
    ("concurrency 10,000, table warmed to 40,000, 32 shards", Settings(100_000, shards=32, account=10_000, warm=40_000)),
]  # fmt: skip


def table(head, rows):
    """A table in Markdown; what is no text stands on the right."""
    lines = [head, ["---" if isinstance(cell, str) and not is_figure(cell) else "--:" for cell in rows[0]], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def is_figure(text):
    return bool(re.fullmatch(r"[\d.,+ −]+( \$)?", text))


def dollars(amount):
    return f"{amount:,.2f}"


def figures():
    cpu, waits = MEASURED["photo_cpu"], cost.waiting("default")
    rows = [
        ["processor time of a photo of 12 megapixels, default recipe", f"{cpu['default']} ms", "measured"],
        ["the same, `fit 1600`", f"{cpu['fit 1600']} ms", "measured"],
        ["of that, the classifier, which runs beside rendering", f"{MEASURED['classify_cpu']} ms", "measured"],
        ["the worker's cold start", f"{MEASURED['worker_start_cpu']} ms", "measured"],
        ["bytes of a finished row on Lambda", f"{ROWS['URLs kept'].bytes:,}",
         "measured, but for the session token in its URLs"],
        ["bytes of log for a job", f"{round(cost.log_bytes(1)):,}", "measured, but for Lambda's own lines"],
        ["another function's processor time", f"{ASSUMED['handler_cpu']} ms", "assumed"],
        ["S3's first byte", f"{round(ASSUMED['s3'] * 1000)} ms", "the lower end of what AWS says"],
        ["a photo, its derivative",
         f"{ASSUMED['photo'] / 1e6:.1f} MB, {ASSUMED['derivative']['default'] / 1e6:.1f} MB", "assumed"],
        ["from the end of a PUT to its event", f"{ASSUMED['s3_event']} s", "assumed; AWS says seconds"],
        ["the worker's waiting for other services, default recipe", f"{round(waits * 1000)} ms", "from these"],
    ]  # fmt: skip
    return table(["what", "figure", "from"], rows)


def calls():
    rows = []
    for who, service, call, row, where in CALLS:
        units = writes(row) if row else {}
        by_store = Counter()
        for (store, _), count in units.items():
            by_store[store] += count
        cells = [by_store[store] or "" for store in STORES]
        rows.append([who, f"{service} {call}", f"{ROWS[row].bytes:,}" if row else "", *cells, where])
    sums = units_of(puts())
    together = [f"**{sums[store]}**" for store in STORES]
    rows.append(["**together**", "", "", *together, f"{sum(sums.values())} write units"])
    head = ["who", "call", "row, bytes", *STORES, "where"]
    lines = [head, ["---", "---", "--:", "--:", "--:", "--:", "--:", "---"], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def memory():
    rows = []
    for recipe, megabytes in product(MEASURED["photo_cpu"], MEMORIES):
        gb_seconds = cost.gb_seconds(megabytes, recipe)
        prices = [cost.job(recipe, megabytes, arch=arch)["Lambda, worker"] * 10_000 for arch in ("x86-64", "arm64")]
        seconds = [cost.batch_seconds(megabytes, recipe, 1), cost.latency(megabytes, recipe)]
        times = [f"{figure:.2f}" for figure in (cost.vcpus(megabytes), *seconds, gb_seconds)]
        rows.append([recipe, f"{megabytes:,}", *times, *map(dollars, prices)])
    head = ["recipe", "MB", "vCPU", "worker, s", "PUT to COMPLETED, s", "GB-s a photo",
            "$ for 10,000, x86-64", "$, arm64"]  # fmt: skip
    return table(head, rows)


def batches():
    rows = []
    for batch in BATCHES:
        seconds = cost.batch_seconds(DEPLOYED["worker_memory"], "default", batch)
        lines = cost.job(batch=batch)
        burst = Burst(Settings(1000, batch=batch)).run()
        ends = [f"{burst.seconds_until(share):.0f}" for share in (50, 100)]
        rows.append([str(batch), f"{seconds:.2f}", f"{batch / seconds:.2f}",
                     f"{cost.gb_seconds(DEPLOYED['worker_memory'], 'default', batch):.2f}",
                     dollars(lines["Lambda, worker"] * 10_000), *ends])  # fmt: skip
    head = ["batch", "invocation, s", "photos/s a worker", "GB-s a photo", "$ of the worker for 10,000",
            "1,000 at once: half done, s", "all done, s"]  # fmt: skip
    return table(head, rows)


def month(photos, lines):
    extra = {"standing: idle polls, reconcile": cost.standing(), "daily sweep": cost.sweep(photos)}
    return {**{name: amount * photos for name, amount in lines.items()}, **extra}


def costs():
    columns = [month(photos, cost.job(recipe)) for recipe in MEASURED["photo_cpu"] for photos in MONTHS]
    rows = [[name, *(dollars(column[name]) for column in columns)] for name in columns[0]]
    rows.append(["**together**", *(f"**{dollars(sum(column.values()))}**" for column in columns)])
    kept = [cost.storage(photos, recipe) for recipe in MEASURED["photo_cpu"] for photos in MONTHS]
    rows.append(["a month's storage of what they leave", *map(dollars, kept)])
    head = ["US dollars a month", *(f"{photos:,}, {recipe}" for recipe in MEASURED["photo_cpu"] for photos in MONTHS)]
    return table(head, rows) + "\n\n" + comparison()


def comparison():
    lines = cost.job()
    slim = sum(slimmed().values())
    rows = []
    for name, amounts in {
        "default recipe": cost.job(),
        "`fit 1600`": cost.job("fit 1600"),
        "default recipe, batches of ten": cost.job(batch=10),
        "the same, arm64 as fast as x86-64": cost.job(batch=10, arch="arm64"),
        "default recipe, `byKey` and `byStatus` with keys only": {**lines, "saved": -cost.saved_by_slim_indexes()},
    }.items():
        compute, total = cost.compute(amounts) * 10_000, sum(amounts.values()) * 10_000
        shares = [f"{compute / PYTHON['compute']:.2f}", f"{total / PYTHON['total']:.2f}"]
        rows.append([name, dollars(compute), dollars(total), *shares])
    rows.append(["Python", dollars(PYTHON["compute"]), dollars(PYTHON["total"]), "1.00", "1.00"])
    head = ["10,000 photos, nothing standing, nothing stored", "$ compute", "$ in all", "of Python's compute",
            "of its total"]  # fmt: skip
    written = sum(units_of(puts()).values())
    share = lines["DynamoDB, writes"] / sum(lines.values())
    waits = cost.waiting("default") / cost.batch_seconds(DEPLOYED["worker_memory"], "default", 1)
    text = f"""Of an invocation of the worker with one photo and the default recipe, {waits:.0%} is waiting. DynamoDB's
writes are {share:.0%} of the total: {written} write units a job. With keys only in `byKey` and `byStatus` they would be
{slim}."""
    return table(head, rows) + "\n\n" + text


def held_up(burst):
    """What held somebody up, for how many seconds, the longest first."""
    found = sorted(burst.world.held_up.items(), key=lambda item: -len(item[1]))
    return ", ".join(f"{name} {len(seconds)} s" for name, seconds in found[:4]) or "nothing"


def burst_row(named):
    name, settings = named
    burst = Burst(settings).run()
    ends = [burst.seconds_until(share) for share in (50, 95, 100)]
    peaks, failed = burst.table.peaks(), sum(job.failed for job in burst.jobs)
    hottest = max(STORES, key=lambda store: peaks[store])
    spent = burst.gb_seconds() / settings.uploads
    counts = burst.world.counts
    return [
        f"{settings.uploads:,}: {name}",
        *("never" if end is None else f"{end:.0f}" for end in ends),
        f"{burst.account.peak:,}",
        f"{burst.worker.peak:,}",
        f"{burst.worker.environments:,}",
        f"{peaks[hottest]:,} of {settings.warm:,}, {hottest}",
        f"{counts['throttled writes']:,}",
        f"{counts['requests refused']:,}",
        f"{burst.samples.oldest:.0f}",
        f"{burst.samples.longest:.0f}",
        f"{counts['dispatches failed']:,}",
        f"{counts['work thrown away']:,}",
        f"{counts['mended by reconcile']:,}",
        f"{failed:,}",
        f"{spent:.2f}",
        held_up(burst),
        "; ".join(burst.exceeded()) or "nothing",
    ]


BURST_HEAD = [
    "uploads at once", "half done, s", "95 % done, s", "all done, s", "most concurrency", "of it the worker's",
    "its cold starts", "most write units a second", "writes refused", "requests refused", "oldest message, s",
    "longest invocation, s", "dispatches repeated", "photos done in vain", "mended by reconcile", "FAILED", "GB-s a photo",
    "who waited for what, for how long", "exceeded",
]  # fmt: skip


def sideways(rows):
    """A column for each run: there are more figures than runs."""
    first, *others = [list(line) for line in zip(BURST_HEAD, *rows)]
    lines = [first, ["---"] + ["--:"] * len(rows), *others]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def bursts():
    with ProcessPoolExecutor() as pool:
        rows = list(pool.map(burst_row, BURSTS))
    small = sum(settings.uploads == 1000 for _, settings in BURSTS)
    return sideways(rows[:small]) + "\n\n" + sideways(rows[small:])


def partition_units():
    """Write units of one job in the partitions of one shard, by index and what its partitions are named for."""
    sums = Counter()
    for name in puts():
        for (store, kind), units in writes(name).items():
            if kind:
                sums[store, kind] += units
    return sums


def fullest(keys, partitions):
    """How many of so many keys the fullest of so many partitions has on average, if they fall on them by chance."""
    falls = list(product(range(partitions), repeat=keys))
    return sum(max(Counter(fall).values()) for fall in falls) / len(falls)


def shards():
    rows, sums, eight = [], units_of(puts()), DEPLOYED["shards"]
    for store in STORES:
        limit = LIMITS["table_wru"]
        rows.append([f"{store}, new", str(sums[store]), f"{limit:,}", f"{limit / sums[store]:,.0f}"])
    for (store, kind), units in partition_units().items():
        limit = eight * LIMITS["partition_wru"]
        rows.append([f"{store}, {eight} partitions `{kind}`", str(units), f"{limit:,}", f"{limit / units:,.0f}"])
    batch = DEPLOYED["batch"]
    rate = batch / cost.batch_seconds(DEPLOYED["worker_memory"], "default", batch)
    new = LIMITS["table_wru"] / max(sums.values())
    warm = min(eight * LIMITS["partition_wru"] / units for units in partition_units().values())
    partitions = LIMITS["table_wru"] // LIMITS["partition_wru"]
    chance = eight * LIMITS["partition_wru"] / fullest(eight, partitions)
    backlogs = [DEPLOYED["requeue_after"] * jobs for jobs in (new, warm)]
    text = f"""With batches of {batch} a worker does {rate:.2f} photos a second: {new / rate:.0f} workers keep a new table busy,
and {warm / rate:.0f} all {eight} shards of a warmed one. More of them only refuse one another's writes.

A message waits longer than `REQUEUE_AFTER`, and reconcile sends a second one for its job, once the backlog exceeds
{backlogs[0]:,.0f} photos on a new table and {backlogs[1]:,.0f} on a warmed one.

A new index has {partitions} partitions, on which {eight} keys fall by chance. Until DynamoDB has split the fullest of them,
it takes some {chance:,.0f} write units a second on average, and not {LIMITS["table_wru"]:,}. The simulation leaves that
out."""
    return table(["what", "write units a job", "units a second", "jobs a second"], rows) + "\n\n" + text


BLOCKS = {"figures": figures, "calls": calls, "memory": memory, "batches": batches, "costs": costs, "bursts": bursts,
          "shards": shards}  # fmt: skip


def markers(name):
    return f"<!-- {name}: written by scripts/scale -->\n", f"<!-- end of {name} -->\n"


def renewed(text):
    """The page with every block as it is now."""
    for name, block in BLOCKS.items():
        begin, end = markers(name)
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise SystemExit(f"scale: the page has no block {name}")
        text = f"{before}{begin}\n{block()}\n\n{end}{after}"
    return text
