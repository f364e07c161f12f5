# usage: saved.py EXECUTIONS.json FIRST-RESERVATION SECOND-RESERVATION
# Prints how long each execution waited for its first output, and what announcing it saved against booting on demand.
import datetime
import json
import sys


def wait_ms(execution):
    at = [datetime.datetime.fromisoformat(execution[key].replace("Z", "+00:00")) for key in ("created_at", "first_output_at")]
    return (at[1] - at[0]).total_seconds() * 1000


def main():
    with open(sys.argv[1]) as file:
        document = json.load(file)
    executions = document["executions"] if isinstance(document, dict) else document
    names = {sys.argv[2]: "announced, first run", sys.argv[3]: "announced, second run"}
    rows = [(names.get(e.get("reservation_id"), "booted on demand"), wait_ms(e)) for e in reversed(executions)
            if e.get("first_output_at")]
    print(f"{'execution':<24}{'request to first output':>26}")
    for name, ms in rows:
        print(f"{name:<24}{ms:>23.0f} ms")
    announced = [ms for name, ms in rows if name.startswith("announced")]
    demand = [ms for name, ms in rows if name == "booted on demand"]
    if announced and demand:
        best = sum(announced) / len(announced)
        print(f"\nAnnounced code answered {demand[0] / best:.0f} times sooner: {(demand[0] - best) / 1000:.1f} s saved per request.")


if __name__ == "__main__":
    main()
