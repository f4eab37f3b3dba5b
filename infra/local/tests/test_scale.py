"""What `scripts/scale` computes: it keeps to AWS's limits, loses nothing, and its page is the one that it writes."""

import re
import subprocess
import sys
from collections import Counter

import pytest
from conftest import ROOT

sys.path.append(str(ROOT / "scripts"))

from scaling import cost, parameters
from scaling.burst import Burst, Settings
from scaling.calls import puts, units_of

CALM = Settings(1000)
# So little of everything that each limit is met.
STRAINED = Settings(1500, account=60, maximum=40, warm=250, status_reserved=20, holds=True)
# So little that writes fail for good, unless they are tried over and over.
FAILING = Settings(1500, maximum=100, warm=100)


@pytest.fixture(scope="module", params=[CALM, STRAINED, FAILING], ids=["calm", "strained", "failing"])
def burst(request):
    with pytest.MonkeyPatch.context() as patch:
        if request.param == FAILING:
            patch.setitem(parameters.DEPLOYED, "rounds", 1)
        return Burst(request.param).run()


def test_every_upload_of_a_burst_comes_to_an_end_that_its_client_hears_of(burst):
    assert burst.open == 0
    for job in burst.jobs:
        assert (job.done_at is not None) != job.failed
        assert job.announced and job.served
    # The strain was one, and only where it goes on do jobs run out of receives.
    counts = burst.world.counts
    assert (counts["throttled writes"] > 0) == (burst.settings != CALM)
    assert (counts["work thrown away"] > 0) == (counts["mended by reconcile"] > 0) == (burst.settings == FAILING)
    assert any(job.failed for job in burst.jobs) == (counts["dead letters"] > 0 and burst.settings == FAILING)


def test_no_step_has_more_concurrency_than_there_is(burst):
    settings = burst.settings
    for together, *functions in burst.samples.concurrency:
        assert together == sum(functions) <= settings.account
    for polling, allowed in burst.samples.pollers:
        assert polling <= allowed <= settings.maximum
    if settings.status_reserved:
        assert burst.job_status.peak <= settings.status_reserved
        others = [together - status for together, _, _, status, _ in burst.samples.concurrency]
        assert max(others) <= settings.account - settings.status_reserved


def test_no_second_has_more_write_units_than_the_table_its_indexes_and_their_partitions_take(burst):
    together = Counter()
    for used in burst.table.seconds.values():
        for place, units in used.items():
            assert units <= (burst.settings.warm if isinstance(place, str) else 1000), place
        together.update({place: units for place, units in used.items() if isinstance(place, str)})
    assert together["table"] >= units_of(puts())["table"] * sum(not job.failed for job in burst.jobs)


def test_the_mapping_starts_with_five_batches_and_adds_five_a_second():
    burst = Burst(Settings(1000, batch=1)).run()
    allowed = [allowed for _, allowed in burst.samples.pollers]
    growth = [after - before for before, after in zip(allowed, allowed[1:])]
    assert allowed[0] == 5 and set(growth) == {0, 1}
    waited = sum(polling == allowed for polling, allowed in burst.samples.pollers)
    assert max(allowed) - 5 <= 300 / 60 * waited * 0.05 + 1


def test_twice_the_work_is_twice_the_gb_seconds(monkeypatch):
    for wait in ("s3", "dynamodb", "sns", "cold_share"):
        monkeypatch.setitem(parameters.ASSUMED, wait, 0)
    monkeypatch.setitem(parameters.ASSUMED, "s3_bytes_per_second", float("inf"))
    monkeypatch.setitem(parameters.MEASURED, "classify_cpu", 0)
    for memory in (1024, 1769):
        once, twice = (cost.gb_seconds(memory, "default", cpu=cpu) for cpu in (400, 800))
        assert twice == pytest.approx(2 * once)
        once, twice = (Burst(Settings(200, batch=1, memory=memory, cpu=cpu)).run().gb_seconds() for cpu in (400, 800))
        # Steps are as long as they are.
        assert twice == pytest.approx(2 * once, rel=0.1)


def test_the_simulation_bills_what_the_arithmetic_does(monkeypatch):
    monkeypatch.setitem(parameters.ASSUMED, "cold_share", 0)
    billed = Burst(Settings(500, batch=1)).run().gb_seconds() / 500
    assert billed == pytest.approx(cost.gb_seconds(1769, "default"), rel=0.05)


def test_the_same_seed_is_the_same_burst():
    ends = [[job.done_at for job in Burst(Settings(300, seed=seed)).run().jobs] for seed in (1, 1, 2)]
    assert ends[0] == ends[1] != ends[2]


@pytest.mark.parametrize(
    ("file", "constant", "name"),
    [
        ("shared/src/aws/job_table.rs", r"SHARDS: u8 = (\d+)", "shards"),
        ("shared/src/aws/job_table.rs", r"MAX_CONFLICTS: u32 = (\d+)", "rounds"),
        ("shared/src/job/mod.rs", r"MAX_ATTEMPTS: u32 = (\d+)", "receives"),
        ("shared/src/job/mod.rs", r"REQUEUE_AFTER: Duration = Duration::from_mins\((\d+)\)", "requeue_after"),
        ("shared/src/job/mod.rs", r"LEASE_GRACE: Duration = Duration::from_secs\((\d+)\)", "lease_grace"),
        ("shared/src/job/mod.rs", r"ANNOUNCE_AFTER: Duration = Duration::from_mins\((\d+)\)", "announce_after"),
        ("functions/worker/src/process.rs", r"FIRST_RETRY: Duration = Duration::from_secs\((\d+)\)", "first_retry"),
        ("functions/dispatcher/src/reconcile.rs", r"CONCURRENCY: usize = (\d+)", "reconcile_at_once"),
        ("infra/local/src/stack.rs", r'"VisibilityTimeout", "(\d+)"', "visibility_timeout"),
    ],
)
def test_what_is_deployed_is_what_the_code_says(file, constant, name):
    [found] = re.findall(constant, (ROOT / file).read_text())
    assert parameters.DEPLOYED[name] == int(found) * (60 if "from_mins" in constant else 1)


def test_the_page_has_the_tables_that_the_script_writes():
    done = subprocess.run([ROOT / "scripts" / "scale", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
