# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon of cardboard for the tests of the command line client: fixed objects over HTTP on a UNIX socket.

Every request is kept in `FakeDaemon.requests` as (method, path, body).
"""
import base64
import hashlib
import http.server
import json
import os
import socketserver
import threading
import urllib.parse

NOW = "2026-11-20T22:50:00.000000Z"


def at(seconds):
    """Time of day 22:48:00 plus `seconds`, RFC 3339."""
    whole, fraction = divmod(round(seconds * 1000000), 1000000)
    return f"2026-11-20T22:{48 + whole // 60:02d}:{whole % 60:02d}.{fraction:06d}Z"


def quantiles(p50, p90, p99):
    return {"p50": p50, "p90": p90, "p99": p99}


def shape(vcpus, memory_mib, network_mbps=10, gpus=0):
    return {"vcpus": vcpus, "memory_mib": memory_mib, "network_mbps": network_mbps, "gpus": gpus}


def choice(path, ready_ms, median_ms, samples, cost, verdict):
    return {"path": path, "ready_ms": ready_ms, "median_ms": median_ms, "samples": samples, "cost": cost,
            "chosen": verdict == "chosen", "verdict": verdict}


def amount(resource, quantile, chosen, less, more, verdict):
    """`chosen`, `less` and `more` are an amount and its cost; `less` may be None."""
    low = {"less": less[0], "less_cost": less[1]} if less else {}
    return {"resource": resource, "quantile": quantile, "amount": chosen[0], "cost": chosen[1], **low,
            "more": more[0], "more_cost": more[1], "verdict": verdict}


def entry(seconds, what, detail=None):
    return {"at": at(seconds), "what": what, **({"detail": detail} if detail else {})}


DEMAND = {
    "source": "rules", "sample_count": 0, "score": 34.5, "class": "low", "vcpus": quantiles(0.6, 1, 1.4),
    "memory_mib": quantiles(180, 320, 512), "network_mbps": quantiles(0.5, 2, 8), "duration_ms": quantiles(900, 2400, 9000),
    "gpus": 0,
    "reasons": [{"rule": "python", "effect": "score +10"},
                {"rule": "numeric-libraries", "effect": "score +20, memory x 1.5"},
                {"rule": "large-payload", "effect": "memory + 2 MiB per MiB"}],
}

CODE = {"function": "thumbnails", "tenant": "acme", "language": "python", "libraries": ["numpy", "pillow"],
        "algorithm": "image", "code_bytes": 1834, "payload_bytes": 2621440, "parallelism": 2, "payload_keys": 12,
        "payload_numbers": 9, "payload_strings": 3, "argument_count": 2, "argument_max": 1.5e6,
        "traits": {"compressed_bytes": 700, "lines": 60, "loops": 4, "loop_depth": 2, "calls": 25, "imports": 3, "functions": 5,
                   "conditionals": 6, "threads": 1}}

RESERVATION = {
    "id": "res-01kahv3m9q7x4b8d2t", "state": "done", "profile": "low", "template": "runtimes", "shape": shape(1, 512),
    "maximum": shape(2, 2048), "host": "alpha", "instance_id": "vm-01kahv3m9q7x4b8d2u",
    "execution_id": "exec-01kahv3n1q7x4b8d2v", "policy_version": 3, "created_at": at(0), "arrival_at": at(12),
    "start_at": at(6.8), "started_at": at(6.8), "ready_at": at(9.913), "expires_at": at(72), "ended_at": at(15.4),
    "path": "boot", "path_ms": 4200, "margin_ms": 1000, "attempts": 1, "demand": DEMAND,
    "notification": {"id": "not-01kahv3m9q7x4b8d2s", "code": CODE, "arrival_at": at(12), "received_at": at(0)},
    "paths": [choice("running", 40, 6, 12, 96.5, "nothing in stock"), choice("paused", 60, 9, 0, 12.25, "nothing in stock"),
              choice("saved", 700, 0, 0, 8, "there is no saved state"), choice("boot", 4200, 3100, 57, 3.5, "chosen")],
    "amounts": [amount("cpu", 0.9, (1, 0.6391), None, (2, 1.3812), "covers the demand"),
                amount("memory", 0.9696969697, (512, 0.04514), (384, 0.09127), (640, 0.04893), "covers the demand"),
                amount("network", 0.9, (10, 0.02711), (8, 0.03022), (12, 0.02604), "least of profile low")],
    "placements": [{"host": "alpha", "chosen": True, "cost": 0.125, "verdict": "chosen"},
                   {"host": "beta", "chosen": False, "cost": 0.5, "verdict": "fits, but costs more"},
                   {"host": "gamma", "chosen": False, "cost": 0, "verdict": "down"}],
    "timeline": [entry(0, "notified", "arrival in 12 s"), entry(0.0004, "predicted", "low, score 34.5"),
                 entry(0.0006, "scheduled", "start in 6.8 s"), entry(6.8, "starting", "on alpha"), entry(9.913, "ready"),
                 entry(12.1, "claimed", "exec-01kahv3n1q7x4b8d2v"), entry(15.4, "done")],
}

SCHEDULED = {
    "id": "res-01kahv5zz07x4b8d30", "state": "scheduled", "profile": "medium", "template": "runtimes",
    "shape": shape(4, 8192, 50), "maximum": shape(8, 16384, 100), "policy_version": 3, "created_at": at(118),
    "arrival_at": at(150), "start_at": at(144.8), "expires_at": at(210), "path": "saved", "path_ms": 900, "margin_ms": 1000,
    "demand": DEMAND, "paths": [choice("running", 40, 6, 12, 96.5, "dearer"), choice("saved", 900, 170, 0, 8, "chosen")],
    "notification": {"id": "not-01kahv5zz07x4b8d2z", "code": {"function": "matrix", "tenant": "default", "language": "python"},
                     "arrival_at": at(150), "received_at": at(118)},
    "placements": [], "timeline": [entry(118, "notified")],
}

FAILED = {
    "id": "res-01kahv4aa07x4b8d33", "state": "failed", "profile": "high", "shape": shape(8, 16384, 100, 1),
    "maximum": shape(8, 16384, 100, 1), "policy_version": 3, "created_at": at(60), "arrival_at": at(60), "start_at": at(60),
    "ended_at": at(61), "demand": DEMAND, "error": "no host has a GPU free: alpha 1 of 1 promised",
    "notification": {"id": "not-01kahv4aa07x4b8d32", "code": {"function": "train", "tenant": "acme"}, "received_at": at(60)},
    "timeline": [entry(60, "notified"), entry(61, "failed", "no host has a GPU free: alpha 1 of 1 promised")],
}

ADJUSTMENTS = [
    {"signalled_at": at(13.199), "at": at(13.2), "hypervisor_at": at(13.22), "confirmed_at": at(13.243), "resource": "memory", "reason": "excess",
     "cause": "memory 410 MiB > predicted 320 MiB x 1.2",
     "predicted": 320, "actual": 410, "before": shape(1, 512), "after": shape(1, 1024)},
    {"signalled_at": at(14.2), "at": at(14.2), "resource": "cpu", "reason": "excess", "cause": "runnable 3.0 > predicted 1.0 x 1.2",
     "predicted": 1, "actual": 3,
     "before": shape(1, 1024), "after": shape(2, 1024), "error": "the guest did not bring vCPU 1 online within 5 s"},
    {"at": at(14.8), "hypervisor_at": at(14.81), "confirmed_at": at(14.82), "resource": "cpu", "reason": "hand", "cause": "asked for by hand",
     "predicted": 0, "actual": 0, "before": shape(1, 1024), "after": {**shape(1, 1024), "cpu_percent": 50}},
    {"signalled_at": at(15), "at": at(15), "hypervisor_at": at(15.01), "confirmed_at": at(15.011), "resource": "disk", "reason": "need",
     "cause": "18.0 MB/s used, 9.0 predicted: up to 40.0 may come", "predicted": 9, "actual": 18, "before": {**shape(1, 1024), "disk_mbps": 20},
     "after": {**shape(1, 1024), "disk_mbps": 40}},
]

EXECUTION = {
    "id": "exec-01kahv3n1q7x4b8d2v", "code": CODE, "state": "finished", "match": "reservation", "path": "boot",
    "code_place": "in-place", "instance_uses": 2,
    "reservation_id": RESERVATION["id"], "instance_id": "vm-01kahv3m9q7x4b8d2u", "host": "alpha", "profile": "low",
    "policy_version": 3, "created_at": at(12.1), "started_at": at(12.112), "first_output_at": at(12.148),
    "ended_at": at(15.39), "demand": DEMAND, "shape": shape(1, 1024), "limits": {"wall_ms": 600000},
    "result": {"reason": "exited", "status": 0, "wall_us": 3270000, "cpu_user_us": 2910000, "cpu_system_us": 84000,
               "memory_peak_bytes": 733 * 1048576, "io_read_bytes": 2700000, "io_write_bytes": -1, "network_rx_bytes": -1,
               "network_tx_bytes": -1, "pids_peak": 3},
    "vcpus_peak": 2.9, "memory_peak_mib": 733, "output_bytes": 1042, "adjustments": ADJUSTMENTS,
    "timeline": [entry(12.1, "requested"), entry(12.112, "started", "hit: res-01kahv3m9q7x4b8d2t was ready"),
                 entry(12.148, "first output"), entry(13.243, "grown", "memory 512 MiB -> 1024 MiB"),
                 entry(15.39, "exited", "status 0")],
}

LONELY = {
    "id": "exec-01kahv5b007x4b8d40", "code": {"function": "report", "tenant": "default", "language": "perl"}, "state": "running",
    "match": "none", "path": "running", "code_place": "not-announced", "instance_id": "vm-01kahv5b007x4b8d41", "host": "beta", "profile": "low", "policy_version": 3,
    "created_at": at(100), "started_at": at(104.5), "demand": {**DEMAND, "source": "history", "sample_count": 17},
    "shape": shape(1, 512), "adjustments": [], "timeline": [entry(100, "requested"), entry(104.5, "started", "miss: not announced")],
}

KILLED = {
    "id": "exec-01kahv4cc07x4b8d44", "code": {"function": "loop", "tenant": "default"}, "state": "finished", "match": "early",
    "instance_id": "vm-01kahv4cc07x4b8d45", "host": "alpha", "profile": "low", "created_at": at(70), "started_at": at(71),
    "ended_at": at(101), "shape": shape(1, 512), "result": {"reason": "wall-clock-limit", "status": 9, "wall_us": 30000000},
    "timeline": [],
}

INSTANCES = [
    {"id": "vm-01kahv5b007x4b8d41", "host": "beta", "uuid": "0b8c6a9e-7a53-4a44-9a0e-0d3c7c1f9a10", "state": "busy",
     "template": "runtimes", "profile": "low", "shape": shape(1, 512), "maximum": shape(2, 2048),
     "execution_id": "exec-01kahv5b007x4b8d40", "used": True, "uses": 1, "tenant": "default", "function": "report",
     "pool": "fast@beta", "saved": "saved-01kahv5b007x4b8d01", "path": "running", "created_at": at(20), "warm_at": at(24.4),
     "ready_at": at(104.4),
     "timeline": [entry(20, "defined"), entry(20.4, "started"), entry(24.4, "warm", "1 vCPU, 512 MiB online"),
                  entry(104.4, "ready", "claimed")]},
    {"id": "vm-01kahv5b007x4b8d50", "host": "beta", "uuid": "6d1c1d3e-63fd-4a08-8a0b-0a5f55d1ce11", "state": "paused",
     "template": "runtimes", "shape": shape(1, 512), "maximum": shape(2, 2048), "pool": "fast@beta", "path": "running", "used": False,
     "created_at": at(90), "warm_at": at(93), "timeline": [entry(90, "defined"), entry(93, "warm"), entry(93.5, "paused")]},
    {"id": "vm-01kahv3m9q7x4b8d2u", "host": "alpha", "uuid": "52f1f9a8-0a31-4b58-a1a9-4df1c7b3a0fe", "state": "gone",
     "template": "runtimes", "profile": "low", "shape": shape(1, 1024), "maximum": shape(2, 2048),
     "reservation_id": RESERVATION["id"], "execution_id": EXECUTION["id"], "used": True, "created_at": at(6.8),
     "ready_at": at(9.913), "ended_at": at(15.6), "reason": "its execution has ended",
     "timeline": [entry(6.8, "defined"), entry(7.05, "started"), entry(9.913, "ready", "1 vCPU, 512 MiB online"),
                  entry(15.6, "destroyed")]},
]

HOSTS = [
    {"spec": {"name": "alpha", "uri": "qemu:///system", "labels": ["gpu", "zone=a"], "memory_reserve_mib": 2048, "network": "user",
              "gpus": ["0000:41:00.0"]},
     "state": "up", "since_at": "2026-11-20T19:30:00Z", "cpus": 16, "memory_mib": 65536, "committed_vcpus": 9,
     "committed_memory_mib": 17408, "committed_gpus": 1, "instance_count": 2, "acceleration": "kvm",
     "acceleration_reason": "a guest answered under KVM in 212 ms", "version": "libvirt 9.0.0, QEMU 7.2.22"},
    {"spec": {"name": "beta", "uri": "qemu+ssh://root@beta/system", "cpu_overcommit": 2.0}, "state": "up",
     "since_at": "2026-11-19T22:00:00Z", "cpus": 8, "memory_mib": 15872, "committed_vcpus": 1, "committed_memory_mib": 512,
     "committed_gpus": 0, "instance_count": 1, "acceleration": "tcg",
     "acceleration_reason": "/dev/kvm is there, but a guest under KVM did not answer within 5 s",
     "version": "libvirt 9.0.0, QEMU 7.2.22"},
    {"spec": {"name": "gamma", "uri": "qemu+ssh://root@gamma/system"}, "state": "down",
     "error": "Cannot recv data: Connection refused", "since_at": at(30), "cpus": 0, "memory_mib": 0, "committed_vcpus": 0,
     "committed_memory_mib": 0, "committed_gpus": 0, "instance_count": 0, "acceleration": "unknown"},
]

HISTORY = [
    {"execution_id": "exec-01kahv3n1q7x4b8d2v", "code": CODE, "demand": DEMAND, "ended_at": at(15.39), "reason": "exited", "status": 0,
     "vcpus": 2.9, "cpu_seconds": 2.994, "memory_mib": 733, "network_mbps": 0.2, "duration_ms": 3270, "shape": shape(1, 1024),
     "adjustments": ADJUSTMENTS[:2]},
    {"execution_id": "exec-01kahtzz1q7x4b8d2a", "code": CODE, "demand": {**DEMAND, "source": "history", "sample_count": 12},
     "ended_at": "2026-11-20T21:10:00Z", "reason": "signalled", "status": 9, "vcpus": 0.8, "cpu_seconds": 1, "memory_mib": 200,
     "network_mbps": 0, "duration_ms": 1250.5, "shape": shape(1, 512)},
]

POLICIES = [{"version": 3, "loaded_at": at(-0), "files": ["classes.yaml", "rules.yaml"]},
            {"version": 2, "loaded_at": "2026-11-18T08:00:00Z", "files": ["all.yaml"]}]
POLICY = {"version": 3, "files": [{"name": "classes.yaml", "text": "classes:\n  - name: low\n    score_max: 33\n"},
                                  {"name": "rules.yaml", "text": "rules: []"}],
          "policy": {"classes": [{"name": "low", "score_max": 33}], "rules": []}}
PROFILES = {
    "profiles": [{"name": "low", "template": "runtimes", "initial": shape(1, 2048), "maximum": shape(2, 4096)},
                 {"name": "high", "template": "runtimes", "initial": shape(8, 16384, 100, 1), "maximum": shape(16, 65536, 1000, 1)}],
    "classes": [{"name": "low", "score_max": 33, "profile": "low", "demand": DEMAND},
                {"name": "high", "score_max": 100, "profile": "high", "demand": DEMAND}],
}
METRICS = "# HELP harbinger_reservations_total Reservations made.\n# TYPE harbinger_reservations_total counter\n" \
          "harbinger_reservations_total 3\n"



def score(target, error, within2, pinball):
    return {"target": target, "run_count": 180, "error": error, "within2": within2, "pinball": pinball}


MODELS = [
    {"version": 9, "state": "refused", "origin": "trained", "made_at": at(30), "run_count": 1900, "function_count": 41, "train_seconds": 4.25,
     "why": "its loss on the newest runs is 0.3050, that of version 7 is 0.3010: not lower by 1 %", "champion": 7,
     "scores": [score("cpu", 0.42, 0.78, 0.18), score("memory", 0.21, 0.95, 0.125)],
     "champion_scores": [score("cpu", 0.41, 0.79, 0.181), score("memory", 0.2, 0.95, 0.12)]},
    {"version": 8, "state": "damaged", "why": "/var/lib/harbinger/models/000008.model: it is damaged", "scores": [], "champion_scores": []},
    {"version": 7, "state": "serving", "held": True, "origin": "trained", "made_at": at(-600), "served_at": at(-500), "run_count": 1500,
     "function_count": 38, "train_seconds": 3.5, "why": "there was no model before it", "scores": [score("cpu", 0.5, 0.7, 0.2)],
     "champion_scores": []},
    {"version": 0, "state": "kept", "origin": "shipped", "made_at": "2026-10-01T00:00:00Z", "run_count": 12000, "function_count": 900,
     "scores": [score("cpu", 0.61, 0.72, 0.25)], "champion_scores": []},
]

POOLS = [
    {"id": "fast@beta", "name": "fast", "host": "beta", "template": "runtimes", "shape": shape(1, 512), "maximum": shape(2, 2048),
     "stock": {"running": 1, "paused": 1, "saved": 1}, "target": {"running": 2, "paused": 1, "saved": 1},
     "why": "floor 1, 2 reservations in 30 s, recent misses 0.7", "held_back": "1 more: the host takes 2 warm-ups at a time",
     "warming": 1, "hits": 42, "misses": 8, "miss_reasons": [{"reason": "empty", "count": 6}, {"reason": "shape", "count": 2}],
     "ledger": [{"path": "running", "count": 30, "kept": 29, "median_ms": 6, "p95_ms": 38},
                {"path": "boot", "count": 8, "kept": 4, "overruns": 1, "median_ms": 3100, "p95_ms": 5200}],
     "warmed": 61, "wasted": 5, "idle_mib_hours": 1234.56, "idle_mib": 1024, "idle_budget_mib": 4096},
    {"id": "fast@alpha", "name": "fast", "host": "alpha", "template": "runtimes", "shape": shape(1, 512), "maximum": shape(2, 2048),
     "stock": {"running": 0, "paused": 0, "saved": 0}, "target": {"running": 0, "paused": 0, "saved": 0}, "draining": True,
     "overridden": True, "why": "draining", "warming": 0, "hits": 0, "misses": 0, "miss_reasons": [], "ledger": [], "warmed": 0,
     "wasted": 0, "idle_mib_hours": 0.0, "idle_mib": 0, "saved_error": "this QEMU cannot save a domain with a passed-through GPU"},
]


def figures(runs, p50=None, p90=None, error=None, within=None, coverage=(), waste=None, short=None, ratio=None):
    told = {"runs": runs, "ratio_p50": p50, "ratio_p90": p90, "log_error": error, "within_2": within,
            "coverage": dict(zip(("p50", "p90", "p99"), coverage)), "waste": waste, "shortage": short, "shortage_ratio": ratio}
    return {name: value for name, value in told.items() if value is not None}


NO_FIGURES = figures(0)
ACCURACY = [
    {"function": "thumbnails", "tenant": "acme", "runs": 120, "cut_short": 3, "oldest_at": at(0), "newest_at": at(15.39),
     "vcpus": figures(117, 0.97, 1.6, 0.31, 0.934, (0.52, 0.908, 0.9917), 0.00021, 0.0252, 1.34),
     "memory_mib": figures(117, 1.02, 1.31, 0.12, 1, (0.48, 0.93, 1), 0.035, 0.01, 1),
     "network_mbps": figures(117, 1, 1, 0, 1, (1, 1, 1)), "duration_ms": figures(117, 12.3, 41.5, 2.51, 0.1, (0.1, 0.3, 0.42))},
    {"function": "loop", "tenant": "default", "runs": 2, "cut_short": 2, "oldest_at": at(0), "newest_at": at(101),
     "vcpus": NO_FIGURES, "memory_mib": {**NO_FIGURES, "coverage": {"p50": 0}, "waste": 3.25, "shortage": 0},
     "network_mbps": NO_FIGURES, "duration_ms": NO_FIGURES},
]
ACCURACY_TOTAL = {**{k: v for k, v in ACCURACY[0].items() if k not in ("function", "tenant")}, "runs": 122, "cut_short": 5}


def point(index):
    """Up to a third off, each seventh four times as much, each fifth cut short."""
    need = 1.12 ** index * (1 + (index * 37 % 10 - 5) / 15) * (4 if index % 7 == 3 else 1)
    amounts = {"vcpus": 0.2, "memory_mib": 64, "duration_ms": 300}
    pairs = {name: {"predicted": round(1.12 ** index * base, 3), "used": round(need * base, 3)} for name, base in amounts.items()}
    return {"execution_id": f"exec-{index}", "function": "thumbnails", "tenant": "acme", "ended_at": at(index), **pairs,
            "network_mbps": {"predicted": 2.5}, **({"cut_short": True} if index % 5 == 4 else {})}


POINTS = [point(index) for index in range(40)]
OBJECTS = {"reservations": [SCHEDULED, FAILED, RESERVATION], "executions": [LONELY, KILLED, EXECUTION], "instances": INSTANCES,
           "hosts": HOSTS}
ENDED = {"done", "expired", "cancelled", "failed", "finished", "interrupted", "gone"}
STATUSES = {"invalid": 400, "not-found": 404, "conflict": 409, "unsatisfiable": 422, "exhausted": 429, "unavailable": 503,
            "too-large": 413, "internal": 500}


class Problem(Exception):
    def __init__(self, code, detail, pointer=None):
        super().__init__(detail)
        self.body = {"type": f"urn:harbinger:error:{code}", "title": code, "status": STATUSES[code], "detail": detail, "code": code,
                     **({"pointer": pointer} if pointer else {})}


def key_of(item):
    return item["spec"]["name"] if "spec" in item else item["id"]


def function_of(item):
    return item.get("code", item.get("notification", {}).get("code", {})).get("function")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, format, *args):
        pass

    def send_body(self, status, body, content_type="application/json"):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        self.server.daemon.requests.append((self.command, self.path, body))
        try:
            self.route(url.path.strip("/").split("/"), query, body)
        except Problem as problem:
            self.send_body(problem.body["status"], problem.body, "application/problem+json")
        except (BrokenPipeError, ConnectionResetError):
            self.server.daemon.client_gone.set()
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def route(self, path, query, body):
        if path == ["metrics"]:
            return self.send_body(200, METRICS, "text/plain; version=0.0.4")
        if path == ["readyz"]:
            return self.send_body(200, "ready\n", "text/plain")
        handler = getattr(self, f"{self.command.lower()}_{path[1]}", None)
        if handler:
            return handler(path[2:], query, body)
        if path[1] in OBJECTS and self.command in ("GET", "DELETE"):
            return self.objects(path[1], path[2:], query)
        raise Problem("not-found", f"{self.path}: there is no such path")

    def find_object(self, kind, name):
        for item in OBJECTS[kind]:
            if key_of(item) == urllib.parse.unquote(name):
                return item
        raise Problem("not-found", f"there is no {kind[:-1]} \"{urllib.parse.unquote(name)}\"")

    def objects(self, kind, rest, query):
        if not rest:
            rows = [o for o in OBJECTS[kind] if ("all" in query or o["state"] not in ENDED)
                    and query.get("state", o["state"]) == o["state"]
                    and query.get("function", function_of(o)) == function_of(o)]
            return self.send_body(200, {kind: rows[:int(query.get("limit", 100))]})
        item = self.find_object(kind, rest[0])
        if self.command == "GET":
            return self.send_body(200, item)
        if item["state"] in ENDED:
            raise Problem("conflict", f"{key_of(item)} is {item['state']}")
        if kind == "executions" and item["id"] == LONELY["id"]:
            self.server.daemon.cancelled.set()
        states = {"instances": "stopping", "hosts": item["state"]}
        return self.send_body(200, {**item, "state": states.get(kind, "cancelled")})

    def post_notifications(self, _rest, _query, body):
        code = json.loads(body)["code"]
        if code["function"] == "impossible":
            raise Problem("unsatisfiable", "no host could ever give 64 GPUs: the largest, alpha, has 1")
        if code["function"].startswith("-"):
            raise Problem("invalid", "/code/function: \"-x\" is no name, it must start with a letter or digit", "/code/function")
        if code["function"] == "now":
            return self.send_body(202, {"reservation": {**RESERVATION, "state": "starting"}})
        if code["function"] == "hopeless":
            return self.send_body(202, {"reservation": {**FAILED, "state": "starting"}})
        return self.send_body(202, {"reservation": SCHEDULED})

    def post_explanations(self, _rest, _query, body):
        code = {"tenant": "default", **json.loads(body)["code"]}
        made = {**SCHEDULED, "state": "scheduled", "notification": {"code": code}, "placements": RESERVATION["placements"],
                "host": "alpha", "created_at": NOW}
        del made["id"]
        return self.send_body(200, {"reservation": made})

    def post_instances(self, rest, _query, body):
        instance = self.find_object("instances", rest[0])
        wanted = json.loads(body)
        if wanted.get("memory_mib", 0) > instance["maximum"]["memory_mib"]:
            raise Problem("invalid", f"/memory_mib: is more than {rest[0]} was made for; right would be at most 2 vCPU, 2048 MiB")
        return self.send_body(200, {**instance, "shape": {**instance["shape"], **wanted}})

    def post_hosts(self, _rest, _query, body):
        spec = json.loads(body)
        if spec["name"] == "alpha":
            raise Problem("conflict", "there is a host \"alpha\" already: detach it first")
        return self.send_body(201, {"spec": spec, "state": "connecting", "since_at": NOW})

    def find_pool(self, name):
        for pool in POOLS:
            if pool["id"] == urllib.parse.unquote(name):
                return pool
        raise Problem("not-found", f"there is no pool \"{urllib.parse.unquote(name)}\"")

    def get_pools(self, rest, query, _body):
        if query:
            raise Problem("invalid", f"the query parameter \"{list(query)[0]}\" is not known here; right would be: none")
        return self.send_body(200, self.find_pool(rest[0]) if rest else {"pools": POOLS})

    def post_pools(self, rest, _query, body):
        pool, wanted = self.find_pool(rest[0]), json.loads(body)
        if rest[1] == "drain":
            return self.send_body(200, {**pool, "draining": wanted["drain"]})
        wanted.pop("reset", None)
        return self.send_body(200, {**pool, "overridden": bool(wanted), "target": {**pool["target"], **wanted}})

    def find_model(self, version):
        for model in MODELS:
            if str(model["version"]) == version:
                return model
        raise Problem("not-found", f"there is no version {version} of the model")

    def get_models(self, rest, _query, _body):
        if not rest:
            return self.send_body(200, {"models": MODELS})
        model = self.find_model(rest[0])
        if len(rest) == 1:
            return self.send_body(200, model)
        if model["state"] in ("refused", "damaged"):
            raise Problem("conflict", f"version {rest[0]} of the model is {model['state']}, and its file is not kept: {model['why']}")
        return self.send_body(200, "harbinger model of cardboard\n", "application/octet-stream")

    def post_models(self, rest, query, body):
        if not rest:
            if not body.startswith(b"harbinger model"):
                raise Problem("invalid", "/: it does not begin with \"harbinger model\"; right would be what model-export wrote", "")
            state = {"state": "serving", "held": True} if query.get("serve") == "true" else {"state": "kept"}
            return self.send_body(201, {"version": 10, **state, "origin": "imported", "why": "imported; it was version 7 where it was made"})
        if rest[0] == "train":
            return self.send_body(200, MODELS[0]) if query.get("wait") == "true" else self.send_body(202, {"version": 9})
        if rest[0] == "latest":
            return self.send_body(200, {k: v for k, v in MODELS[2].items() if k != "held"})
        model = self.find_model(rest[0])
        if model["state"] in ("refused", "damaged"):
            raise Problem("conflict", f"version {rest[0]} of the model is {model['state']}, and its file is not kept: {model['why']}")
        return self.send_body(200, {**model, "state": "serving", "held": True})

    def put_code(self, _rest, _query, body):
        if b"\0" in body:
            raise Problem("invalid", f"byte {body.index(0)} is a NUL; right would be text in UTF-8 without NUL")
        return self.send_body(201, {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)})

    def get_events(self, _rest, query, _body):
        if query.get("object") == "pool":
            raise Problem("invalid", "the query parameter \"object\" is \"pool\"; right would be one of: reservation, execution, instance, host")
        self.start_stream()
        of_execution = {"object": "execution", "id": EXECUTION["id"], "function": "thumbnails"}
        events = [{"event": "watching"}, {"event": "timeline", "object": "host", "id": "alpha", "timeline": entry(1, "up")},
                  {"event": "timeline", **of_execution, "timeline": entry(12, "started", "hit: it was ready")}, {"event": "later", "thing": 1}]
        events += [{"event": "adjustment", **of_execution, "instance_id": "vm-1", "adjustment": one} for one in ADJUSTMENTS[:3]]
        for event in events + [{"event": "end"}]:
            self.send_event(event)
        self.wfile.write(b"0\r\n\r\n")

    def get_history(self, _rest, query, _body):
        rows = [h for h in HISTORY if query.get("function", "thumbnails") == h["code"]["function"]]
        return self.send_body(200, {"history": rows[:int(query.get("limit", 100))]})

    def get_accuracy(self, rest, query, _body):
        if query.get("function") == "nobody":
            empty = {"points": []} if rest else {"by": "function", "limit": 10000, "total": {"runs": 0, "cut_short": 0}, "groups": []}
            return self.send_body(200, empty)
        if rest:
            return self.send_body(200, {"limit": 2000, "points": POINTS[:int(query.get("limit", 2000))]})
        by = query.get("by", "function")
        if by not in ("function", "tenant", "language", "model"):
            raise Problem("invalid", f"the query parameter \"by\" is \"{by}\"; right would be one of: function, tenant, language, model")
        names = {"function": [{}, {}], "tenant": [{}, {}], "language": [{"language": "python"}, {}],
                 "model": [{"model_version": 7}, {"source": "history"}]}[by]
        kept = {"function": ("function", "tenant"), "tenant": ("tenant",)}.get(by, ())
        groups = [{**{k: v for k, v in group.items() if k in kept or k not in ("function", "tenant")}, **name}
                  for group, name in zip(ACCURACY, names)]
        limit = int(query.get("limit", 10000))
        left_out = {"groups_left_out": 4} if limit == 122 else {}
        return self.send_body(200, {"by": by, "limit": limit, "total": ACCURACY_TOTAL, "groups": groups, **left_out})

    def post_policies(self, _rest, query, body):
        for file in json.loads(body)["files"]:
            for number, line in enumerate(file["text"].split("\n"), 1):
                if "wrong" in line:
                    name = os.path.basename(file["name"])
                    raise Problem("invalid", f"{name}:{number}: unknown key \"wrong\"; known are name, score_max, profile, demand")
        return self.send_body(200, {"valid": True}) if query.get("check") == "true" else self.send_body(201, {"version": 4})

    def get_policies(self, rest, _query, _body):
        if not rest:
            return self.send_body(200, {"policies": POLICIES})
        if rest[0] not in ("current", "3"):
            raise Problem("not-found", f"there is no policy version {rest[0]}")
        return self.send_body(200, POLICY)

    def get_profiles(self, _rest, _query, _body):
        return self.send_body(200, PROFILES)

    def get_version(self, _rest, _query, _body):
        return self.send_body(200, {"version": "0.1.0", "api": "v1"})

    # Executions: what the code says is what happens.

    def send_event(self, event):
        data = json.dumps(event).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def start_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def finish(self, execution, **changes):
        self.send_event({"event": "finished", "execution": {**execution, **changes}})
        self.wfile.write(b"0\r\n\r\n")

    def result(self, reason="exited", status=0, **more):
        return {**EXECUTION["result"], "reason": reason, "status": status, **more}

    def post_executions(self, rest, query, body):
        if rest:
            return self.post_stdin(rest, query, body)
        request = json.loads(body)
        source = request["program"].get("source", "")
        if "refuse" in source:
            raise Problem("exhausted", "100 executions are open, the policy allows 100")
        self.start_stream()
        execution = {**EXECUTION, "state": "running", "code": request["code"]}
        run = getattr(self, "run_" + source.split()[0], self.run_hello) if source.split() else self.run_hello
        run(execution, request)

    def post_stdin(self, _rest, query, body):
        daemon = self.server.daemon
        with daemon.input_changed:
            daemon.input += body
            daemon.input_ended |= query.get("eof") == "true"
            daemon.input_changed.notify_all()
        self.send_response(204)
        self.end_headers()

    def run_hello(self, execution, _request):
        self.send_event({"event": "started", "execution": execution})
        self.send_event({"event": "stdout", "data": "hello\n"})
        self.send_event({"event": "stderr", "data": "a warning\n"})
        self.send_event({"event": "adjusted", "adjustment": ADJUSTMENTS[0], "execution_id": execution["id"]})
        self.send_event({"event": "stdout", "data_base64": base64.b64encode(b"\xff\xfe\n").decode()})
        self.finish(execution, state="finished", result=self.result())

    def run_status(self, execution, request):
        self.send_event({"event": "queued", "execution": {**execution, "state": "queued"}})
        self.send_event({"event": "started", "execution": execution})
        self.finish(execution, state="finished", result=self.result(status=int(request["program"]["source"].split()[1])))

    def run_memory(self, execution, _request):
        self.send_event({"event": "started", "execution": execution})
        self.send_event({"event": "retried", "execution": {**execution, "state": "queued", "retries": 1}})
        self.send_event({"event": "queued", "execution": {**execution, "state": "queued", "retries": 1}})
        self.send_event({"event": "started", "execution": {**execution, "retries": 1}})
        self.finish(execution, state="finished", retries=1, result=self.result())

    def run_signal(self, execution, _request):
        self.send_event({"event": "started", "execution": execution})
        self.finish(execution, state="finished", result=self.result("signalled", 9))

    def run_forever(self, execution, _request):
        self.send_event({"event": "started", "execution": execution})
        self.finish(execution, state="finished", result=self.result("wall-clock-limit", 9, message="it ran for 30 s"))

    def run_lost(self, execution, _request):
        self.send_event({"event": "started", "execution": execution})
        self.finish(execution, state="failed", result=self.result("lost"), error="the VM died: QEMU was killed")

    def run_echo(self, execution, request):
        """Writes back what comes in, as it comes."""
        daemon, sent = self.server.daemon, 0
        daemon.input_ended |= not request["program"].get("stdin_open")
        self.send_event({"event": "started", "execution": execution})
        while True:
            with daemon.input_changed:
                daemon.input_changed.wait_for(lambda: len(daemon.input) > sent or daemon.input_ended, timeout=20)
                data, ended = daemon.input[sent:], daemon.input_ended
            if data:
                self.send_event({"event": "stdout", "data": data.decode()})
            sent += len(data)
            if ended:
                break
        self.finish(execution, state="finished", result=self.result())

    def run_wait(self, execution, _request):
        """Until it is cancelled."""
        execution = {**execution, "id": LONELY["id"]}
        self.send_event({"event": "started", "execution": execution})
        self.send_event({"event": "stdout", "data": "waiting\n"})
        self.server.daemon.cancelled.wait(timeout=20)
        self.finish(execution, state="cancelled", result=self.result("cancelled"))


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        pass


class FakeDaemon:
    """`with FakeDaemon(path) as daemon:`"""

    def __init__(self, path):
        self.path = path
        self.requests = []
        self.reset()
        self.server = Server(path, Handler)
        self.server.daemon = self
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})

    def reset(self):
        self.input, self.input_ended, self.input_changed = b"", False, threading.Condition()
        self.cancelled, self.client_gone = threading.Event(), threading.Event()
        self.requests.clear()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        os.unlink(self.path)
