# SPDX-License-Identifier: LGPL-2.1-or-later
# usage: saved.py EXECUTIONS.json
# Prints how long each execution waited for its VM and for its first output, and what announcing a program saved.
import datetime
import json
import sys


def ms_between(execution, first, second):
    start, end = (datetime.datetime.fromisoformat(execution[key].replace("Z", "+00:00")) for key in (first, second))
    return (end - start).total_seconds() * 1000


def main():
    with open(sys.argv[1]) as file:
        document = json.load(file)
    executions = document["executions"] if isinstance(document, dict) else document
    shown = [e for e in reversed(executions) if e.get("first_output_at")]
    print(f"{'function':<10} {'how its VM was found':<22} {'request to start':>18} {'request to first output':>25}")
    waits = {}
    for e in shown:
        how = "booted on demand" if e["match"] == "none" else "announced, stood ready"
        start, output = ms_between(e, "created_at", "started_at"), ms_between(e, "created_at", "first_output_at")
        waits[e["code"]["function"]] = start, output
        print(f"{e['code']['function']:<10} {how:<22} {start:>15.1f} ms {output:>22.1f} ms")
    if "hello" in waits and "stranger" in waits:
        saved = [waits["stranger"][i] - waits["hello"][i] for i in (0, 1)]
        print(f"\nThe same small program, announced, was running {waits['stranger'][0] / waits['hello'][0]:.0f} times sooner; "
              f"{saved[1] / 1000:.2f} s were saved until its first output.")


if __name__ == "__main__":
    main()
