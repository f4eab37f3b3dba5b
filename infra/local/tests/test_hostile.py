"""Every hostile image against the running product: it ends on the first receive, within budget, and leaks nothing."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ROOT, UPLOADS, Darkroom, encoded, sample
from hostile import MAX_PEAK_MIB, Trial, problems
from PIL import Image
from process_tree import ProcessTree

sys.path.append(str(ROOT / "scripts"))
from hostile_images import CATALOGUE, PLANTED, write  # noqa: E402

# How long a photo may wait beside the costliest files, in seconds: one of them, within its limit of processor time.
MAX_WAIT = 5.0


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The folder with all files, and the manifest's entries."""
    folder = tmp_path_factory.mktemp("hostile")
    return folder, write(folder)


@pytest.fixture(scope="module")
def verdicts(request, files, tmp_path_factory):
    """Each chosen file's verdict and what is wrong with it, by name.

    Two Darkrooms share the work. Each has one file at a time, and is weighed alone.
    """
    folder, entries = files
    chosen = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    names, found = iter([name for name in entries if name in chosen]), {}

    def try_files(trial):
        for name in names:
            verdict = trial.run(name, (folder / name).read_bytes(), entries[name].get("derivatives"))
            found[name] = verdict, problems(entries[name], PLANTED.decode(), verdict)
            # Some have 300 MB.
            verdict.derivative = b""
        assert trial.darkroom is None or trial.darkroom.stop() == 0

    trials = [Trial(lambda: Darkroom(tmp_path_factory.mktemp("trial") / "data")) for _ in range(2)]
    with ThreadPoolExecutor(len(trials)) as pool:
        list(pool.map(try_files, trials))
    return found


@pytest.mark.parametrize("name", [specimen.name for specimen in CATALOGUE])
def test_a_hostile_image_ends_as_it_should(verdicts, name):
    verdict, wrong = verdicts[name]
    assert wrong == [], verdict


def test_the_manifest_says_what_every_file_may_come_to(files):
    folder, entries = files
    assert len(entries) >= 90
    assert {path.name for path in folder.iterdir()} == {*entries, "manifest.json"}
    assert [name for name in entries if (folder / name).stat().st_size > 25 << 20] == ["26-mib.jpg"]


def test_large_photos_give_way_and_all_have_their_turn(own_darkroom):
    """Each takes more than half of the memory: one is at work, one waits, and the others come back later."""
    darkroom, photo = own_darkroom(), encoded(Image.new("RGB", (6800, 6800), "#806040"), "JPEG")
    with ThreadPoolExecutor(5) as pool:
        jobs = [darkroom.finished(job, 120) for job in list(pool.map(darkroom.upload, [photo] * 5))]
    # What a development build may come to on a busy machine is told of the photo, and not of its waiting.
    assert {job.get("errorCode", job["status"]) for job in jobs} <= {"COMPLETED", "IMAGE_TOO_LARGE"}
    assert "other large photos come first" in darkroom.read_log() and max(job["attempts"] for job in jobs) > 1
    assert darkroom.count("darkroom-dlq") == 0


def test_a_photo_does_not_wait_long_beside_the_costliest(files, verdicts, own_darkroom):
    folder, _ = files
    costliest = sorted(verdicts, key=lambda name: verdicts[name][0].cpu)[-3:]
    assert costliest, "needs the verdicts of the test above"
    darkroom = own_darkroom()
    s3, tree = darkroom.client("s3"), ProcessTree(darkroom.process.pid)
    tree.at_rest()
    with tree.weighed() as weight, ThreadPoolExecutor(len(costliest)) as pool:
        put = lambda name: s3.put_object(Bucket=UPLOADS, Key=f"uploads/{name}", Body=(folder / name).read_bytes())
        list(pool.map(put, costliest))
        started = tree.clock()
        darkroom.completed(darkroom.upload(sample("cat.jpg")))
        waited = tree.clock() - started
        assert waited <= MAX_WAIT, f"{waited:.1f} s beside {costliest}"
        tree.at_rest(seconds=60)
    assert weight.peak <= MAX_PEAK_MIB, f"{weight.peak:.0f} MiB with {costliest} at once"
    assert "panicked at" not in darkroom.read_log()
