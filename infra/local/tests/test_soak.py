"""A small soak; `scripts/soak` runs a large one."""

from soak import Soak


def test_lost_and_repeated_events_and_kills_lose_and_repeat_no_job(own_darkroom):
    seed = 1
    # Short, because only then does reconcile look for uploads of which nobody told it.
    darkroom = own_darkroom(UPLOAD_URL_TTL_SECONDS="10")
    figures = Soak(darkroom, seed, uploads=60, kills=2).run()
    print(figures)
    assert {"lost-", "twice-", "late-"} <= figures["events"].keys()
