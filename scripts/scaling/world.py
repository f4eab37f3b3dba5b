"""Simulated time, and what AWS allows at each moment: concurrency, requests, write units.

Time goes in steps. A process is a generator that yields the seconds it sleeps; shorter sleeps last a step. What is left of a
second's write units is gone, so that no second ever holds more than the published limit.
"""

import random
from collections import Counter, defaultdict
from functools import cache

from .calls import writes
from .parameters import ASSUMED, DEPLOYED, LIMITS

STEP = 0.05  # seconds

# Longer than any burst here may take, in seconds: whatever is not over by then never will be.
HORIZON = 4 * 3600


class World:
    """The clock and the processes."""

    def __init__(self, seed=1):
        self.step, self.random = 0, random.Random(seed)
        self.processes = defaultdict(list)
        self.each_step = []
        self.counts = Counter()
        # The seconds in which each limit held somebody up.
        self.held_up = defaultdict(set)

    @property
    def now(self):
        return self.step * STEP

    def refuse(self, limit):
        """Somebody has to wait for this limit."""
        self.counts[limit] += 1
        self.held_up[limit].add(int(self.now))

    def start(self, process, after=0):
        self.processes[self.step + max(1, round(after / STEP))].append(process)

    def run(self, until):
        """Goes on until `until()` or the horizon."""
        while not until() and self.now < HORIZON:
            self.step += 1
            for due in self.each_step:
                due()
            for process in self.processes.pop(self.step, ()):
                pause = next(process, None)
                if pause is not None:
                    self.start(process, pause)

    def backoff(self, tries, longest=20):
        """Seconds until somebody tries again: doubling, with jitter."""
        return (0.5 + self.random.random()) * min(longest, 2**tries)


class Rate:
    """So many requests a second, from a bucket that holds so many."""

    def __init__(self, world, name, per_second, bucket):
        self.world, self.name = world, name
        self.share, self.most, self.left = per_second * STEP, bucket, bucket
        world.each_step.append(self.refill)

    def refill(self):
        self.left = min(self.most, self.left + self.share)

    def take(self):
        if self.left < 1:
            self.world.refuse(self.name)
            return False
        self.left -= 1
        return True


class Account:
    """Concurrent executions, shared by all functions but for what is reserved."""

    def __init__(self, world, limit):
        self.world, self.limit = world, limit
        self.functions, self.peak = [], 0
        self.running = self.running_reserved = self.reserved = 0

    def count(self, function, change):
        function.running += change
        self.running += change
        if function.reserved is not None:
            self.running_reserved += change
        self.peak = max(self.peak, self.running)

    def has_room(self, function):
        if function.reserved is not None:
            return function.running < function.reserved
        return self.running - self.running_reserved < self.limit - self.reserved


class Function:
    """A function's environments: how many there are, how many are at work, how fast more can be had."""

    def __init__(self, account, start, reserved=None):
        self.account, self.start, self.reserved = account, start, reserved
        self.running = self.environments = self.peak = 0
        self.budget = LIMITS["scaling_burst"]
        account.functions.append(self)
        account.reserved += reserved or 0
        account.world.each_step.append(self.refill)

    def refill(self):
        self.budget = min(LIMITS["scaling_burst"], self.budget + LIMITS["scaling_per_second"] * STEP)

    def enter(self):
        """Seconds until the function is ready; `None` if it is throttled."""
        is_cold = self.running == self.environments
        has_room = self.account.has_room(self)
        if not has_room or is_cold and self.budget < 1:
            self.account.world.refuse("new environments" if has_room else "concurrency")
            return None
        self.account.count(self, 1)
        self.peak = max(self.peak, self.running)
        if not is_cold:
            return 0
        self.budget -= 1
        self.environments += 1
        return ASSUMED["environment"] + self.start

    def leave(self):
        self.account.count(self, -1)


class Table:
    """Write units of the table and its indexes: of each as a whole, and of each partition of a sharded index."""

    def __init__(self, world, warm, shards):
        self.world, self.shards = world, shards
        self.warm = warm
        self.seconds = defaultdict(Counter)

    def put(self, name, shard):
        """Whether DynamoDB takes the write: an index that is full refuses the table's write with it."""
        used, wanted = self.seconds[int(self.world.now)], self.wanted(name, shard % self.shards)
        for place, units in wanted:
            is_store = isinstance(place, str)
            if used[place] + units > (self.warm if is_store else LIMITS["partition_wru"]):
                self.world.counts["throttled writes"] += 1
                self.world.refuse(place if is_store else f"a partition of {place[0]}")
                return False
        for place, units in wanted:
            used[place] += units
        return True

    @staticmethod
    @cache
    def wanted(name, shard):
        """What a write takes of each store and of each of their partitions."""
        wanted = Counter()
        for (store, kind), units in writes(name).items():
            wanted[store] += units
            if kind:
                wanted[store, kind, shard] += units
        return tuple(wanted.items())

    def write(self, name, job):
        """One write of a row: the SDK's tries, with pauses between them, and of all but the row's first that so often over.
        Answers whether it was written. How long a call takes is the caller's to count."""
        for _ in range(1 if name == "created" else DEPLOYED["rounds"]):
            for tries in range(LIMITS["sdk_tries"]):
                if tries:
                    yield self.world.random.random() * 2 ** (tries - 1)
                if self.put(name, job.shard):
                    return True
            yield ASSUMED["dynamodb"]
        return False

    def peaks(self):
        """The most write units in one second, by store and by partition."""
        peaks = Counter()
        for used in self.seconds.values():
            peaks |= used
        return peaks
