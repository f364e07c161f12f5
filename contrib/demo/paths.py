# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: paths.py RESERVATIONS.json           prints how long each way to a VM took, side by side
#        paths.py --is-full POOLS.json        exit status 0 when each pool has what it is to have
import datetime
import json
import sys

WAYS = {"running": "claimed: it was running", "paused": "claimed: it was suspended", "saved": "restored from a saved state",
        "boot": "booted"}


def items(path, name):
    with open(path) as file:
        document = json.load(file)
    return document[name] if isinstance(document, dict) else document


def seconds(reservation, first, second):
    start, end = (datetime.datetime.fromisoformat(reservation[key].replace("Z", "+00:00")) for key in (first, second))
    return (end - start).total_seconds()


def is_full(path):
    pools = items(path, "pools")
    return bool(pools) and all(p["stock"] == p["target"] and p["warming"] == 0 for p in pools)


def main():
    if sys.argv[1] == "--is-full":
        sys.exit(0 if is_full(sys.argv[2]) else 1)
    by_path = {}
    for reservation in items(sys.argv[1], "reservations"):
        if reservation.get("ready_at") and reservation.get("started_at"):
            by_path.setdefault(reservation["path"], []).append(seconds(reservation, "started_at", "ready_at"))
    slowest = max((min(times) for times in by_path.values()), default=0)
    print(f"{'way':<30} {'VMs':>4} {'start to proven ready':>22} {'as fast as the slowest':>24}")
    for path in WAYS:
        if path in by_path:
            best = min(by_path[path])
            print(f"{WAYS[path]:<30} {len(by_path[path]):>4} {best * 1000:>19.1f} ms {slowest / best:>18.0f} times")


if __name__ == "__main__":
    main()
