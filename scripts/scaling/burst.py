"""Many uploads at once: clients, the four functions, the queue between them, and reconcile.

What is left out: storage that fails, photos that fail, splits of partitions, other users of the account. Whoever is refused
comes again, as browsers with a retry do.
"""

from collections import deque
from dataclasses import dataclass, field

from .cost import HANDLERS, computing, handler_seconds, pace, start_seconds, waiting
from .parameters import ASSUMED, DEPLOYED, LIMITS, MEASURED
from .world import STEP, Account, Function, Rate, Table, World


@dataclass(frozen=True)
class Settings:
    """A burst, and what it meets. What is not said is AWS's default."""

    uploads: int
    recipe: str = "default"
    # Whether every client holds the line (`?wait=20`) or is told by a notice.
    holds: bool = False
    batch: int = DEPLOYED["batch"]
    memory: int = DEPLOYED["worker_memory"]
    account: int = LIMITS["account"]
    # The mapping's MaximumConcurrency.
    maximum: int = LIMITS["pollers_most"]
    # Reserved concurrency of `job-status`.
    status_reserved: int | None = None
    # WarmThroughput of the table and of each index.
    warm: int = LIMITS["table_wru"]
    shards: int = DEPLOYED["shards"]
    # CPU of a photo, in place of what was measured.
    cpu: float | None = None
    seed: int = 1


@dataclass
class Job:
    """One upload and its row."""

    shard: int
    came_at: float = 0
    due_at: float = float("inf")
    arrived: bool = False
    claimed: bool = False
    lease_until: float = 0
    done_at: float | None = None
    failed: bool = False
    announced: bool = False
    served: bool = False
    closed: bool = False


@dataclass
class Message:
    """A work item, as often as it was received."""

    job: Job
    sent_at: float
    receives: int = 0


@dataclass
class Invocation:
    """An invocation of the worker, and how many of its photos are not through."""

    started_at: float
    deadline: float
    photos: int


@dataclass
class Samples:
    """What a run was like, step by step."""

    concurrency: list = field(default_factory=list)
    pollers: list = field(default_factory=list)
    oldest: float = 0
    backlog: int = 0
    longest: float = 0


class Burst:
    """One run."""

    def __init__(self, settings):
        self.settings, self.world = settings, World(settings.seed)
        world = self.world
        self.account = Account(world, settings.account)
        start = start_seconds("other", DEPLOYED["memory"])
        self.request_upload = Function(self.account, start)
        self.dispatcher = Function(self.account, start)
        self.job_status = Function(self.account, start, settings.status_reserved)
        self.worker = Function(self.account, start_seconds("worker", settings.memory))
        self.api = Rate(world, "API", LIMITS["api_per_second"], LIMITS["api_burst"])
        self.s3 = Rate(world, "S3", LIMITS["s3_puts_per_second"], LIMITS["s3_puts_per_second"])
        self.table = Table(world, settings.warm, settings.shards)
        self.queue, self.pollers, self.polling = deque(), LIMITS["pollers_first"], 0
        self.allowed = min(self.pollers, settings.maximum)
        how = settings.memory, settings.recipe, settings.cpu
        self.work, self.pace = waiting(settings.recipe) + computing(*how), pace(*how)
        self.handler = {name: handler_seconds(name) for name in HANDLERS}
        self.jobs = [Job(number) for number in range(settings.uploads)]
        self.open, self.samples, self.worker_seconds = len(self.jobs), Samples(), 0.0
        world.each_step += [self.poll, self.sample]

    def run(self):
        for job in self.jobs:
            self.world.start(self.client(job))
        self.world.start(self.reconcile(), DEPLOYED["reconcile_every"])
        self.world.run(lambda: self.open == 0)
        return self

    # The client.

    def client(self, job):
        """Asks for a slot, PUTs the photo, and looks for what became of it."""
        yield from self.request(self.request_upload, self.offer(job))
        job.due_at = self.world.now + DEPLOYED["upload_url_ttl"]
        yield ASSUMED["upload"] * (0.5 + self.world.random.random())
        tries = 0
        while not self.s3.take():
            yield self.world.backoff(tries)
            tries += 1
        job.came_at = self.world.now
        self.world.start(self.dispatch(job), ASSUMED["s3_event"])
        if self.settings.holds:
            while not job.served:
                yield from self.request(self.job_status, self.hold(job))

    def request(self, function, work):
        """Requests until the API answers; a refusal is answered at once, and the client waits before it asks again."""
        tries, done = 0, False
        while not done:
            yield ASSUMED["round_trip"]
            ready = function.enter() if self.api.take() else None
            if ready is not None:
                yield ready
                done = yield from work()
                function.leave()
            if not done:
                self.world.counts["requests refused"] += 1
                yield self.world.backoff(tries)
                tries += 1

    def offer(self, job):
        def work():
            yield self.handler["request-upload"]
            return (yield from self.table.write("created", job))

        return work

    def hold(self, job):
        def work():
            (pause, growth, longest), until = DEPLOYED["status_polls"], self.world.now + DEPLOYED["longest_wait"]
            yield self.handler["job-status"]
            while not self.is_over(job) and self.world.now < until:
                yield pause
                pause = min(pause * growth, longest)
            if self.is_over(job):
                job.served = yield from self.table.write("URLs kept", job)
                self.close(job)
                return job.served
            return True

        return work

    def is_over(self, job):
        return job.done_at is not None or job.failed

    def close(self, job):
        if job.announced and job.served and not job.closed:
            job.closed = True
            self.open -= 1

    # S3's event.

    def dispatch(self, job, failures=0):
        """Lambda's own queue before the dispatcher: throttled events come again for hours, failed ones twice."""
        (pause, longest), ready = LIMITS["async_throttled"], self.dispatcher.enter()
        while ready is None:
            yield pause * (0.5 + self.world.random.random())
            pause, ready = min(2 * pause, longest), self.dispatcher.enter()
        yield ready + self.handler["dispatcher"]
        job.arrived = job.arrived or (yield from self.table.write("arrived", job))
        noted = False
        if job.arrived:
            noted = yield from self.send(job)
        self.dispatcher.leave()
        if not noted:
            self.world.counts["dispatches failed"] += 1
            if failures < len(LIMITS["async_failed"]):
                self.world.start(self.dispatch(job, failures + 1), LIMITS["async_failed"][failures])

    def send(self, job):
        """Sends a work item and notes that: sent first, so that nothing is lost in between."""
        self.queue.append(Message(job, self.world.now))
        noted = yield from self.table.write("queued", job)
        if noted and not job.claimed:
            job.due_at = self.world.now + DEPLOYED["requeue_after"]
        return noted

    # The mapping between the queue and the worker.

    def poll(self):
        """Starts batches, and has more of them the longer there is something to fetch."""
        if not self.queue:
            return
        more = LIMITS["pollers_per_minute"] / 60 * STEP
        self.pollers = min(self.pollers + more, LIMITS["pollers_most"])
        self.allowed = int(min(self.pollers, self.settings.maximum))
        while self.queue and self.polling < self.allowed:
            size = min(self.settings.batch, len(self.queue))
            batch = [self.queue.popleft() for _ in range(size)]
            self.samples.oldest = max(self.samples.oldest, self.world.now - batch[0].sent_at)
            self.polling += 1
            self.world.start(self.invoke(batch))
        if self.queue:
            self.world.refuse("pollers")

    def invoke(self, batch):
        """One batch: as long as the worker is throttled it is tried again, until the messages become visible anew."""
        until, tries = self.world.now + DEPLOYED["visibility_timeout"], 0
        for message in batch:
            message.receives += 1
        ready = self.worker.enter()
        while ready is None and self.world.now < until:
            yield self.world.backoff(tries)
            tries += 1
            ready = self.worker.enter()
        if ready is None:
            self.world.counts["batches given up"] += 1
            self.polling -= 1
            for message in batch:
                self.give_back(message, 0)
            return
        yield ready
        begins = self.world.now + STEP
        invocation = Invocation(begins, begins + DEPLOYED["worker_timeout"], len(batch))
        for place, message in enumerate(batch):
            self.world.start(self.photo(message, invocation), place * self.pace)

    def leave(self, invocation):
        """A photo of the invocation is through; after the last one the worker is free for the next batch."""
        invocation.photos -= 1
        if invocation.photos == 0:
            seconds = self.world.now - invocation.started_at
            self.worker_seconds += seconds
            self.samples.longest = max(self.samples.longest, seconds)
            self.worker.leave()
            self.polling -= 1

    def give_back(self, message, after):
        """The message comes again, or becomes a dead letter."""
        if message.receives >= DEPLOYED["receives"]:
            self.world.counts["dead letters"] += 1
            if not message.job.claimed:
                self.end(message.job, failed=True)
            return
        self.world.counts["messages given back"] += 1
        self.world.start(self.reappear(message, after))

    def reappear(self, message, after):
        yield after
        self.queue.append(message)

    # The worker.

    def photo(self, message, invocation):
        job = message.job
        retry = DEPLOYED["first_retry"] * 2 ** (message.receives - 1)
        if self.is_over(job) or job.claimed and self.world.now < job.lease_until:
            self.world.counts["messages for nothing"] += 1
        elif not (yield from self.table.write("claimed", job)):
            self.give_back(message, retry)
        else:
            job.claimed, job.lease_until = True, invocation.deadline
            job.due_at = invocation.deadline + DEPLOYED["lease_grace"]
            yield self.work
            if (yield from self.table.write("completed", job)):
                self.end(job)
                yield from self.announce(job)
            else:
                # The lease is not released: whoever receives the message next finds the job taken, and reconcile queues it
                # once the lease is over.
                self.world.counts["work thrown away"] += 1
                self.give_back(message, retry)
        self.leave(invocation)

    def end(self, job, failed=False):
        job.failed, job.due_at = failed, self.world.now + DEPLOYED["announce_after"]
        job.done_at = None if failed else self.world.now

    def announce(self, job):
        job.announced = yield from self.table.write("announced", job)
        if not job.announced:
            return
        job.due_at = float("inf")
        if self.settings.holds:
            self.close(job)
        else:
            self.world.start(self.request(self.job_status, self.hold(job)))

    # Reconcile.

    def reconcile(self):
        """Every five minutes: all that is due, a step further, as many at once as it takes and as long as it may."""
        while True:
            due = [job for job in self.jobs if job.due_at <= self.world.now]
            until = self.world.now + DEPLOYED["reconcile_time"]
            while due and self.world.now < until:
                some, due = due[: DEPLOYED["reconcile_at_once"]], due[DEPLOYED["reconcile_at_once"] :]
                for job in some:
                    self.world.counts["mended by reconcile"] += 1
                    self.world.start(self.mend(job))
                yield ASSUMED["s3"] + ASSUMED["sqs"] + 3 * ASSUMED["dynamodb"]
            yield DEPLOYED["reconcile_every"] - self.world.now % DEPLOYED["reconcile_every"]

    def mend(self, job):
        if self.is_over(job):
            yield from self.announce(job)
            return
        job.arrived = job.arrived or job.came_at and (yield from self.table.write("arrived", job))
        if job.arrived:
            yield from self.send(job)

    # What is looked at.

    def sample(self):
        by_function = [function.running for function in self.account.functions]
        self.samples.concurrency.append((sum(by_function), *by_function))
        self.samples.pollers.append((self.polling, self.allowed))
        self.samples.backlog = max(self.samples.backlog, len(self.queue))

    def gb_seconds(self):
        """GB-seconds of the worker in this run, without cold starts."""
        return self.worker_seconds * self.settings.memory / 1024

    def exceeded(self):
        """Which of the limits that break something were exceeded: each leads to work done twice, or lost for a time."""
        found = {
            "a message was older than `REQUEUE_AFTER`": self.samples.oldest > DEPLOYED["requeue_after"],
            "an invocation ran into its timeout": self.samples.longest > DEPLOYED["worker_timeout"],
            "a batch outlived the visibility timeout": self.world.counts["batches given up"] > 0,
            "too many messages in flight": self.worker.peak * self.settings.batch > LIMITS["sqs_in_flight"],
        }
        return [what for what, is_so in found.items() if is_so]

    def seconds_until(self, share):
        """Seconds until this share of all jobs was completed; `None` if it never was."""
        ends = sorted(job.done_at for job in self.jobs if job.done_at is not None)
        place = max(1, -(-len(self.jobs) * share // 100))
        return ends[int(place) - 1] if len(ends) >= place else None
