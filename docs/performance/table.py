"""Keeps docs/performance.md true.

    python3 docs/performance/table.py collect CRITERION_DIR   take criterion's newest estimates into results.json
    python3 docs/performance/table.py write                   write the table of docs/performance.md from results.json
    python3 docs/performance/table.py check                   fail when the page differs from what `write` would write

Every figure is a ratio or a time out of results.json, measured by `cargo bench` with the peer in the same run; none is typed.
"""

import json
import os
import pathlib
import platform
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "performance.md"
MARK = "<!-- table -->\n"

# what | our benchmark | its peer, or none | the target: ("at least", ratio peer/ours) or ("at most", nanoseconds)
TARGETS = [
    ("verified get, 1 KiB, against cacache", "verified get/ours/1024", "verified get/cacache/1024", ("at least", 2.0)),
    ("verified get, 64 KiB, against cacache", "verified get/ours/65536", "verified get/cacache/65536", ("at least", 3.0)),
    ("durable put, 4 KiB, against write-sync-rename-sync", "durable put of 4 KiB/atomic put", "durable put of 4 KiB/bare write, sync, rename, sync", ("at least", 0.9)),
    ("durable put, 4 KiB, through the cache", "durable put of 4 KiB/cache put", "durable put of 4 KiB/bare write, sync, rename, sync", ("at least", 0.9)),
    ("lock and unlock of a kept file", "lock and unlock/kept file", None, ("at most", 6e3)),
    ("1,000 mock calls through the whole pipeline", "1000 mock calls/whole pipeline", None, ("at most", 20e6)),
]


def collect(folder):
    found = {}
    for estimates in sorted(pathlib.Path(folder).rglob("new/estimates.json")):
        name = str(estimates.parent.parent.relative_to(folder))
        mean = json.loads(estimates.read_text())["mean"]
        interval = mean["confidence_interval"]
        found[name] = {"mean_ns": mean["point_estimate"], "lower_ns": interval["lower_bound"], "upper_ns": interval["upper_bound"]}
    if not found:
        sys.exit("no criterion results below %s; run `cargo bench` first" % folder)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    lock = (HERE.parent.parent / "Cargo.lock").read_text()
    version = lock.split('name = "cacache"\nversion = "', 1)[1].split('"', 1)[0]
    facts = {
        "commit": commit, "machine_class": "%s, %d cores" % (platform.machine(), os.cpu_count()), "load_1min": round(os.getloadavg()[0], 1),
        "peers": {"cacache": version}, "durability": "full: file and folder synced", "command": "cargo bench -p engine",
    }
    results = json.loads(RESULTS.read_text())["results"] if RESULTS.exists() else {}
    results.update(found)
    RESULTS.write_text(json.dumps({"facts": facts, "results": results}, indent=2, sort_keys=True) + "\n")
    print("%d results" % len(found))


def time(ns):
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if ns >= size:
            return "%.3g %s" % (ns / size, unit)
    return "%.3g ns" % ns


def table():
    data = json.loads(RESULTS.read_text())
    facts, results = data["facts"], data["results"]
    lines = ["| what | ours | peer | ratio | target | |", "|---|---:|---:|---:|---|---|"]
    for what, ours, peer, (word, target) in TARGETS:
        mean = results[ours]["mean_ns"]
        if peer:
            other = results[peer]["mean_ns"]
            ratio = other / mean
            met = ratio >= target
            lines.append("| %s | %s | %s | %.2fx | %s %gx | %s |" % (what, time(mean), time(other), ratio, word, target, "met" if met else "**missed**"))
        else:
            met = mean <= target
            lines.append("| %s | %s | – | – | %s %s | %s |" % (what, time(mean), word, time(target), "met" if met else "**missed**"))
    peers = ", ".join("%s %s" % pair for pair in sorted(facts["peers"].items()))
    lines.append("")
    lines.append("Measured at commit %s on %s (load %s before the run); peers: %s; durability %s; command `%s`." % (
        facts["commit"], facts["machine_class"], facts["load_1min"], peers, facts["durability"], facts["command"]))
    return "\n".join(lines) + "\n"


def page():
    head, _, tail = PAGE.read_text().partition(MARK)
    _, _, tail = tail.partition(MARK)
    return head + MARK + table() + MARK + tail


if __name__ == "__main__":
    action = sys.argv[1:2]
    if action == ["collect"] and len(sys.argv) == 3:
        collect(sys.argv[2])
    elif action == ["write"]:
        PAGE.write_text(page())
    elif action == ["check"]:
        if page() != PAGE.read_text():
            sys.exit("docs/performance.md differs from its results; run docs/performance/table.py write")
    else:
        sys.exit(__doc__)
