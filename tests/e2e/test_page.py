# SPDX-License-Identifier: MIT
"""The page at /, as a browser shows it: groups, heatmap and stalls; what it does without
looplagd; and that nothing that a process says can be more than text in it."""

import gzip
import http.client
import json
import re
import socket
import time
import urllib.parse

import pytest

from browser import Browser
from harness import HOSTS, PYTHON, SOURCE, target_environment, wait_for
from restarts import Restarted

WEB = SOURCE / "daemon" / "web"
BYTES_MAX = 60_000
NASTY = "<img src=x onerror=alert(1)>"

# Blocks in a function of that name for so many ms, as each line of its input says.
NASTY_HOST = """
const host = { [process.argv[2]](ms) { const end = Date.now() + ms; while (Date.now() < end); } };
let left = Number(process.argv[3]);
function again() {
    host[process.argv[2]](150);
    if (--left)
        setTimeout(again, 100);
}
setTimeout(again, 300);
setInterval(() => {}, 1 << 30);
"""


@pytest.fixture(scope="module")
def browser():
    with Browser() as started:
        yield started


@pytest.fixture(scope="module")
def looplagd():
    with Restarted() as started:
        yield started


@pytest.fixture
def host(looplagd, program):
    """A program that reports to the module's daemon."""
    return lambda command, group, **how: program(
        command, env=target_environment(looplagd.socket, group), **how)


def is_live(browser):
    return browser.text("#connection").startswith("live")


def visit(browser, looplagd, fragment=""):
    """Load the page anew, and wait until it knows something."""
    browser.complaints()
    browser.get("about:blank")
    browser.get(looplagd.url + "/" + fragment)
    wait_for(lambda: is_live(browser), 20, "the page is live")


def rows(browser):
    """The table of groups: {name: cells}."""
    table = browser.execute_script(
        "return [...document.querySelectorAll('#groups tbody tr')].map((row) => "
        "[row.querySelector('a').textContent, [...row.cells].map((cell) => cell.innerText)])")
    return dict(table)


# As the page writes it; a stall of 400 ms lasts longer where others have the processor.
LONG = r"([4-9]\d\d ms|[\d.]+ s)"


def stall(host, looplagd, group, tmp_path):
    """Have a Node program stall, until the guilty line of a stall is known, which on a machine
    with much else to do may be missed once; returns that stall as looplagd tells of it. Its
    group may have another name."""
    started = host(["node", HOSTS / "stalls.js", tmp_path / "log", "cpu", "100", "400x5"], group)

    def ended():
        found = json.loads(looplagd.get("/api/v1/stalls")[2])["stalls"]
        return [s for s in found if s["pid"] == started.pid and not s["open"]
                and any(frame.get("function") == "cpuLoop" for frame in s["stack"])]
    return wait_for(ended, 30, "a stall with its guilty line")[0]


def fetch(looplagd, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", looplagd.port, timeout=10)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_all_of_it_is_small_and_comes_from_looplagd_alone(looplagd):
    _, page = fetch(looplagd, "/")
    page = page.decode()
    parts = set(re.findall(r'(?:src|href)="(/web/[^"]*)"', page))
    texts = [page]
    todo = sorted(parts)
    while todo:
        answer, body = fetch(looplagd, todo.pop())
        assert answer.status == 200
        texts.append(body.decode())
        more = set(re.findall(r"from '(/web/[^']*)'", texts[-1])) - parts
        parts |= more
        todo += more
    assert len(parts) == len(list(WEB.iterdir())) - 1
    assert 10_000 < sum(len(text.encode()) for text in texts) < BYTES_MAX
    for text in texts:
        assert not re.findall(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9-]+\.[a-z]", text)
        assert "innerHTML" not in text and "style=" not in text and "@version@" not in text


@pytest.mark.parametrize("path", ["/", "/web/page.js"])
def test_a_browser_takes_it_once(looplagd, path):
    answer, body = fetch(looplagd, path)
    tag = answer.headers["ETag"]
    assert answer.headers["Cache-Control"] == "no-cache"
    assert fetch(looplagd, path, Accept_Encoding="gzip")[0].headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(fetch(looplagd, path, Accept_Encoding="gzip")[1]) == body
    again, nothing = fetch(looplagd, path, If_None_Match=tag)
    assert (again.status, nothing, again.headers["ETag"]) == (304, b"", tag)
    other = fetch(looplagd, path, If_None_Match='"another"')
    assert (other[0].status, other[1]) == (200, body)
    head, nothing = fetch(looplagd, path, "HEAD")
    assert (head.status, nothing, head.headers["Content-Length"]) == (200, b"", str(len(body)))
    refused, _ = fetch(looplagd, path, "POST")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")


def test_a_query_that_history_does_not_know_is_refused(looplagd):
    for query, words in [("x=1", 'no parameter "x"'), ("since=-1", "number of a column"),
                         ("since=", "number of a column"), ("group=%zz", "cannot be read")]:
        status, _, body = looplagd.get(f"/api/v1/history?{query}")
        assert (status, words in body) == (400, True), body
    last = json.loads(looplagd.get("/api/v1/history?group=nobody")[2])
    assert last["groups"] == [] and len(last["bounds"]) == 19


@pytest.mark.not_sanitized("what is slower shows stalls later")
def test_a_stall_appears_within_a_second(browser, looplagd, host, tmp_path):
    # Each of them is enough: on a machine with much else to do one may come late.
    log = tmp_path / "log"
    visit(browser, looplagd, "#group=soon")
    browser.execute_script("""
        window.seen = [];
        let before = false;
        new MutationObserver(() => {
            const now = Boolean(document.querySelector('#stalls li.open'));
            if (now && !before)
                window.seen.push(Date.now());
            before = now;
        }).observe(document.body, { subtree: true, childList: true, attributes: true });""")
    host(["node", HOSTS / "stalls.js", log, "cpu", "1500", "2000x6"], "soon")

    def soon():
        shift = time.time() - time.monotonic()
        began = [json.loads(line)["start"] / 1e9 + shift for line in log.read_text().splitlines()]
        return [seen / 1e3 - start for seen in browser.execute_script("return window.seen")
                for start in began if 0 < seen / 1e3 - start <= 1]
    wait_for(soon, 40, "a stall is shown within a second from its beginning")
    assert browser.complaints() == []


def test_it_shows_groups_delay_and_stalls(browser, looplagd, host, tmp_path):
    known = stall(host, looplagd, "shop", tmp_path)
    host([PYTHON, HOSTS / "asyncio_server.py"], "idle")
    visit(browser, looplagd, "#group=shop")
    wait_for(lambda: {"shop", "idle", "looplagd"} <= set(rows(browser)), 10)
    wait_for(lambda: re.fullmatch(LONG, rows(browser)["shop"][3]), 10)
    cells = rows(browser)["shop"]
    assert (cells[6], cells[7]) == ("1", "node")
    assert int(cells[5]) >= 1  # some more where others have the processor
    assert browser.text("#groups [aria-current] a") == "shop"
    assert browser.text("#delay-title") == "Delay of shop"
    assert re.search(rf"[1-9]\d* stalls?, longest {LONG}", browser.text("#summary"))
    # The worst code path is unfolded.
    assert wait_for(lambda: browser.text("#stalls li:first-child .stack"), 10)
    browser.execute_script("document.querySelectorAll('#stalls details').forEach((e) => e.open = true)")
    line = next(f["line"] for f in known["stack"] if f.get("function") == "cpuLoop")
    wait_for(lambda: re.search(rf"cpuLoop \S*/stalls\.js:{line}\n", browser.text("#stalls")), 10)
    assert "cpuLoop" in browser.text("#stalls .guilty")
    path = browser.text("#stalls")
    assert known["cause"] in path and re.search("[1-5]\u00d7", path)
    assert f"#{known['id']}" in path
    # The heatmap, for whom it is a picture and for whom it is not.
    canvas = browser.find_element("id", "heatmap")
    assert canvas.get_attribute("aria-label").startswith("Delay of shop over 15 minutes")
    browser.execute_script("arguments[0].focus()", canvas)
    told = []

    def tells():
        """The last half minute; the very last column still grows."""
        told.clear()
        browser.press("End")
        for _ in range(6):
            told.append(canvas.get_attribute("aria-valuetext"))
            browser.press("ArrowLeft")
        return re.search(rf"longest {LONG}, later than 100 ms for", "\n".join(told))
    wait_for(tells, 30, lambda: f"a column with the stall; there are {told}")
    colours = browser.execute_script("""
        const { data } = arguments[0].getContext('2d').getImageData(0, 0, arguments[0].width,
            arguments[0].height);
        const seen = new Set();
        for (let i = 0; i < data.length; i += 4)
            seen.add(data.slice(i, i + 4).join());
        return seen.size""", canvas)
    assert colours > 10
    browser.execute_script("document.querySelector('#minutes').open = true")
    assert re.search(LONG, browser.text("#minutes tbody"))
    assert browser.complaints() == []


def test_health_tells_what_was_refused(browser, looplagd):
    visit(browser, looplagd)
    assert "0" in browser.text("#health div:nth-child(4) dd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.connect(str(looplagd.socket))
        stranger.send(b"nonsense")
    wait_for(lambda: browser.text("#health .warn").startswith("Rejected"), 10)
    assert "hello 1" in browser.text("#health .warn")
    status = json.loads(looplagd.get("/api/v1/status")[2])
    assert status["rejected"] == {"hello": 1} and status["dropped"] == {}
    assert status["configuration"]["good"] and status["stall_threshold_seconds"] == 0.1
    assert browser.complaints() == []


def test_links_lead_to_a_group_and_to_a_stall(browser, looplagd, host, tmp_path):
    known = stall(host, looplagd, "odd name&co, 5%+#2", tmp_path)
    visit(browser, looplagd, "#group=looplagd")
    assert browser.text("#delay-title") == "Delay of looplagd"
    group = known["groupname"]
    # As programs escape it, and as templates of Prometheus do, with a plus for a blank.
    for quote in urllib.parse.quote, urllib.parse.quote_plus:
        browser.execute_script("location.hash = '#group=looplagd'")
        wait_for(lambda: browser.text("#delay-title") == "Delay of looplagd", 10)
        browser.execute_script("location.hash = arguments[0]", f"#group={quote(group)}")
        wait_for(lambda: browser.text("#delay-title") == f"Delay of {group}", 10)
        wait_for(lambda: "cpuLoop" in browser.text("#stalls .guilty"), 10, "its stall is open")
    visit(browser, looplagd, f"#stall={known['id']}")
    wait_for(lambda: f"#{known['id']}" in browser.text("#stalls .followed"), 10)
    wait_for(lambda: browser.text("#delay-title") == f"Delay of {group}", 10)
    assert browser.execute_script("return document.activeElement.tagName") == "SUMMARY"
    visit(browser, looplagd, "#stall=999999")
    wait_for(lambda: "#999999 is not known any more" in browser.text("#gone"), 10)
    assert browser.complaints() == []


def test_what_processes_say_is_text(browser, looplagd, host, tmp_path):
    script = tmp_path / "nasty.js"
    script.write_text(NASTY_HOST)
    host(["node", script, NASTY, "4"], NASTY)
    visit(browser, looplagd)
    browser.execute_script("document.querySelector('#all').click()")
    wait_for(lambda: NASTY in browser.text("#stalls"), 30, "the function's name is shown")
    assert browser.execute_script("return document.images.length") == 1
    # Nor would it run if it was more.
    browser.execute_script("""
        window.refused = [];
        addEventListener('securitypolicyviolation', (e) => window.refused.push(e.effectiveDirective));
        document.body.append(Object.assign(document.createElement('script'),
            { textContent: 'window.ran = true' }));
        document.body.insertAdjacentHTML('beforeend', '<b style="color: red" onclick="0">x</b>');
        fetch('http://127.0.0.2:9/').catch(() => {});""")
    refused = {"script-src-elem", "script-src-attr", "style-src-attr", "connect-src"}
    wait_for(lambda: refused <= set(browser.execute_script("return window.refused")), 10)
    assert browser.execute_script("return window.ran") is None


def test_it_fits_on_a_phone_and_needs_no_mouse(browser, looplagd, host, tmp_path):
    stall(host, looplagd, "a-rather-long-name-of-a-service.service", tmp_path)
    browser.size(390, 844, 2)
    try:
        visit(browser, looplagd)
        wait_for(lambda: browser.text("#stalls li"), 10)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        focused = set()
        wanted = {"heatmap", "all", "SUMMARY", "#group=looplagd", "BUTTON", "/metrics"}

        def step():
            browser.press("Tab")
            focused.add(browser.execute_script(
                "const e = document.activeElement; const style = getComputedStyle(e);"
                "return style.outlineStyle === 'none' ? e.tagName + ' without outline' : "
                "e.id || e.getAttribute('href') || e.tagName"))
            return wanted <= focused
        wait_for(step, 20, lambda: f"Tab leads to everything, not only to {focused}")
        assert not [name for name in focused if "without outline" in name and "BODY" not in name]
    finally:
        browser.size(1440, 1000)
    assert browser.complaints() == []


def columns(looplagd, group):
    answer = json.loads(looplagd.get(f"/api/v1/history?group={group}")[2])
    return answer["last"], (answer["groups"] or [{"max": []}])[0]["max"]


def test_it_says_when_looplagd_is_away_and_goes_on_with_what_was_known(browser, looplagd, host,
                                                                       tmp_path):
    stall(host, looplagd, "before", tmp_path)
    wait_for(lambda: [v for v in columns(looplagd, "before")[1] if v and v >= 0.4], 20,
             "a column with the stall")
    visit(browser, looplagd, "#group=before")
    assert not browser.find_element("id", "lost").is_displayed()
    looplagd.kill(15)
    words = wait_for(lambda: browser.text("#lost"), 20, "the page says so")
    assert re.search(r"cannot be reached since \d\d:\d\d:\d\d", words)
    assert browser.text("#connection") == "not reached" and "before" in rows(browser)
    looplagd.start()
    wait_for(lambda: is_live(browser), 30, "the page is live again")
    assert not browser.find_element("id", "lost").is_displayed()
    last, known = columns(looplagd, "before")
    assert last and [v for v in known if v and v >= 0.4]
    assert "component=ledger" not in looplagd.words + looplagd.program.stderr
    wait_for(lambda: re.search(f"longest {LONG}", browser.text("#summary")), 10)
