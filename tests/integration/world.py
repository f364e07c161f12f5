# SPDX-License-Identifier: LGPL-2.1-or-later
"""A harbingerd of the test's own on the private libvirt that the test runs beside, and a small client for it."""
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

BUILD = os.environ["HBR_BUILD_DIR"]
SOURCE = os.environ["HBR_SOURCE_DIR"]
URI = os.environ["HBR_LIBVIRT_URI"]
IMAGES = os.environ.get("HARBINGER_IMAGES", os.path.join(BUILD, "images"))

POLICY = """
profiles:
  - {{ name: small, template: base, vcpus: 1, memory: 256 MiB, maximum: {{ vcpus: 3, memory: 1 GiB }} }}
  - {{ name: huge, template: base, vcpus: 900, memory: 900 GiB }}
classes:
  - name: small
    score_max: 90
    profile: small
    demand: {{ vcpus: {{ p50: 0.5, p90: 1, p99: 1 }}, memory: {{ p50: 10 MiB, p90: 40 MiB, p99: 60 MiB }} }}
  - name: huge
    score_max: 100
    profile: huge
    demand: {{ vcpus: {{ p50: 800, p90: 900, p99: 900 }}, memory: {{ p50: 400 GiB, p90: 500 GiB, p99: 600 GiB }} }}
rules:
  - {{ name: huge, when: {{ algorithm: [huge] }}, then: {{ score: 100 }} }}
provisioning: {{ sizing: demand, memory_min: 256 MiB, no_show: {no_show}, boot_timeout: 40 s }}
"""


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Refused(Exception):
    def __init__(self, problem):
        super().__init__(problem.get("detail", ""))
        self.problem = problem


class World:
    def __init__(self, no_show="60 s", host_lines="", more=""):
        self.root = os.path.join(os.environ["HBR_PRIVATE"], "tmp", "w%d" % int(time.time() * 1e6))
        os.makedirs(self.root, 0o700)
        self.socket = os.path.join(self.root, "s")
        self.policy = os.path.join(self.root, "policy.yaml")
        with open(self.policy, "w") as file:
            file.write(POLICY.format(no_show=no_show) + more)
        self.config = os.path.join(self.root, "conf")
        with open(self.config, "w") as file:
            file.write(f"[daemon]\nsocket={self.socket}\nstate-dir={self.root}/state\nimage-dir={IMAGES}\n"
                       f"template-dir={SOURCE}/templates\npolicy={self.policy}\nlog-level=debug\n\n"
                       f"[host here]\nuri={URI}\n{host_lines}\n")
        self.process = None
        self.start()

    def start(self):
        self.log = open(os.path.join(self.root, "log"), "ab")
        self.process = subprocess.Popen([os.path.join(BUILD, "harbingerd"), "--config", self.config],
                                        stdout=self.log, stderr=self.log)
        until(lambda: self.ask("GET", "/readyz"), "the daemon to be ready", 60, (OSError, Refused))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        print("exit status", status) if status else None
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ask(self, method, path, body=None, timeout=120):
        return self.ask_raw(method, path, json.dumps(body) if body is not None else None, "application/json", timeout)

    def ask_raw(self, method, path, body, content="application/octet-stream", timeout=120):
        connection = Connection(self.socket, timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": content} if body is not None else {})
            response = connection.getresponse()
            text = response.read()
        value = json.loads(text) if text else None
        if response.status >= 400:
            raise Refused(value)
        return value

    def notify(self, function, **more):
        keys = {key: more.pop(key) for key in list(more) if key in ("arrival_in_ms", "idempotency_key", "deadline_at")}
        return self.ask("POST", "/v1/notifications", {"code": {"function": function, **more}, **keys})["reservation"]

    def ready(self, reservation, timeout=60):
        found = self.ask("GET", f"/v1/reservations/{reservation['id']}?wait={timeout}&state=ready", timeout=timeout + 30)
        assert found["state"] == "ready", (found["state"], found.get("error"))
        return found

    def run(self, function, source, on_event=None, timeout=120, **request):
        """Runs a shell script; returns (events, stdout, the execution at its end)."""
        limits = request.pop("limits", {})
        program = {"interpreter": "sh", "source": source}
        program.update(request.pop("program", {}))
        body = {"code": {"function": function}, "program": program, "limits": limits, **request}
        connection = Connection(self.socket, timeout)
        events, output = [], ""
        with contextlib.closing(connection):
            connection.request("POST", "/v1/executions", json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise Refused(json.loads(response.read()))
            for line in response:
                event = json.loads(line)
                events.append(event)
                if event["event"] == "stdout":
                    output += event.get("data", "")
                if on_event is not None:
                    on_event(event)
        assert events[-1]["event"] == "finished", events[-1]
        return events, output, events[-1]["execution"]

    def in_background(self, *arguments, **named):
        """As run, in a thread; returns (thread, box) where box gets "result" or "error"."""
        box = {"events": []}

        def work():
            try:
                box["result"] = self.run(*arguments, on_event=box["events"].append, **named)
            except Exception as error:  # handed to the test, which looks at it
                box["error"] = error

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread, box

    def objects(self, kind, query="?all=true"):
        return self.ask("GET", f"/v1/{kind}{query}")[kind]

    def say_log(self, lines=60):
        with open(os.path.join(self.root, "log"), errors="replace") as file:
            sys.stdout.write("".join(file.readlines()[-lines:]))


def until(condition, what, seconds=30, ignored=()):
    """Waits for an event that only polling can see."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        try:
            value = condition()
            if value:
                return value
        except ignored:
            pass
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        pause.wait(0.05)


def virsh(*arguments):
    return subprocess.run(["virsh", "--quiet", "--connect", URI, *arguments], check=True, capture_output=True, text=True).stdout


def domains():
    return sorted(line for line in virsh("list", "--all", "--name").splitlines() if line)


def domain_state(name):
    return virsh("domstate", name).strip()


def qemu_pid(instance_id):
    """The QEMU of an instance: by its command line, among the processes of this namespace."""
    needle = f"guest=harbinger-{instance_id},".encode()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                if needle in file.read():
                    return int(entry)
        except OSError:
            continue
    return None


def main(tests):
    """Runs the functions, or those named on the command line; prints what the runner counts."""
    wanted = sys.argv[1:]
    passed = failed = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        started = time.monotonic()
        try:
            test()
            passed += 1
            word = "ok"
        except Exception:
            traceback.print_exc(file=sys.stdout)
            failed += 1
            word = "FAILED"
        print(f"{word}: {test.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)
