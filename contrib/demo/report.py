# SPDX-License-Identifier: LGPL-2.1-or-later
# A program that needs more than its announcement let expect: it says nothing of parallelism or of its input, then
# reads a lot and computes on three CPUs. Only Python's own library.
import multiprocessing
import sys
import time

SECONDS = 14
STEP_MIB = 40
STEPS = 16


def crunch(number, until):
    count = 0
    while time.monotonic() < until:
        count += sum(i * i for i in range(10000)) % 7
    return number


def main():
    print("report: start", flush=True)
    until = time.monotonic() + SECONDS
    workers = [multiprocessing.Process(target=crunch, args=(n, until)) for n in range(3)]
    for worker in workers:
        worker.start()
    held = []
    for step in range(STEPS):
        held.append(bytearray(b"x") * (STEP_MIB << 20))
        print(f"report: {len(held) * STEP_MIB} MiB held", flush=True)
        time.sleep(max(0.0, (until - time.monotonic()) / (STEPS - step)))
    for worker in workers:
        worker.join()
    total = 0
    for block in held:
        total += len(block)
    print(f"report: done, {total >> 20} MiB and three CPUs were used", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
