# SPDX-License-Identifier: MIT
"""A simulated fleet of probes, and the distribution's Prometheus and Alertmanager with the kit's own files, all
on loopback. For the tests here, the field demo and the pictures of the dashboards."""

import contextlib
import http.server
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
DASH = ROOT / "dashboards"
BOARDS = [DASH / f"{n}.json" for n in ("fleet", "node", "probe-health")]
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
SCRAPE_S = EVAL_S = 1.0
HOSTILE = 'quote" slash\\ line\nbrace} é{x="'
SIM_NODES = ("camera", "detector", "planner", "lidar", "arm", "logger", "speech", "slam")


def run(*command, **kw):
    """Output as a list of complaints: empty when the command succeeds."""
    p = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, **kw)
    return [] if p.returncode == 0 else (p.stdout.strip().splitlines() or [f"exit {p.returncode}"])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, accept=None):
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=20) as r:
        return r.read().decode(), r.headers


def wait_for(what, seconds, look):
    """The first true value of look(); fails loudly after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = look()
        except (urllib.error.URLError, ConnectionError, KeyError, IndexError):
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"{what}: not within {seconds} s")


class Simulator:
    def __init__(self, binary, endpoints, nodes, targets, hostile=False):
        command = [binary, str(endpoints), str(nodes), targets] + (["hostile"] if hostile else [])
        self.p = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, bufsize=1)
        if self.p.stdout.readline() != "ready\n":
            raise RuntimeError("the simulator did not start")
        self.ports = [int(e["targets"][0].rsplit(":", 1)[1])
                      for e in json.loads(pathlib.Path(targets).read_text())]

    def tell(self, line):
        self.p.stdin.write(line + "\n")
        answer = self.p.stdout.readline()
        if not answer.endswith(": ok\n"):
            raise RuntimeError(f"the simulator answered: {answer}")

    def close(self):
        self.p.stdin.close()
        self.p.wait(10)


class Server:
    """A server of the distribution in the background; its log is shown when it fails."""

    def __init__(self, command, log, ready_url):
        self.log = log
        self.p = subprocess.Popen([str(c) for c in command], stdout=open(log, "w"),
                                  stderr=subprocess.STDOUT)
        try:
            wait_for(ready_url, 60, lambda: get(ready_url))
        except TimeoutError:
            print(pathlib.Path(log).read_text()[-3000:])
            self.close()
            raise

    def close(self):
        self.p.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.p.wait(20)
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()


class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


class HttpServer:
    """A server of this process on a port of its own, until close()."""

    def __init__(self, handler):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()


class Text(HttpServer):
    """Passes scrapes on, asking for the text format: Prometheus 2.42 cannot be told to."""

    def __init__(self, target):
        class Handler(Quiet):
            def do_GET(self):
                body, headers = get(f"http://127.0.0.1:{target}{self.path}", "text/plain;version=0.0.4")
                self.send_response(200)
                self.send_header("Content-Type", headers["Content-Type"])
                self.end_headers()
                self.wfile.write(body.encode())

        super().__init__(Handler)


class Webhook(HttpServer):
    def __init__(self):
        self.alerts = []
        outer = self

        class Handler(Quiet):
            def do_POST(self):
                size = int(self.headers["Content-Length"])
                for alert in json.loads(self.rfile.read(size))["alerts"]:
                    outer.alerts.append({**alert, "heard": time.monotonic()})
                self.send_response(200)
                self.end_headers()

        super().__init__(Handler)


class Live:
    """Prometheus and Alertmanager with the kit's own files, ports and intervals changed."""

    def __init__(self, work, sim_targets, extra_jobs="", alertmanager=True):
        self.work, self.stack = work, contextlib.ExitStack()
        self.webhook = Webhook()
        self.port, self.am_port = free_port(), free_port()
        config = (DASH / "prometheus.yml").read_text()
        for old, new in (("targets/*.json", str(sim_targets)), ("9093", str(self.am_port)),
                         ("scrape_interval: 2s", f"scrape_interval: {SCRAPE_S:.0f}s"),
                         ("scrape_timeout: 2s", f"scrape_timeout: {SCRAPE_S:.0f}s"),
                         ("evaluation_interval: 2s", f"evaluation_interval: {EVAL_S:.0f}s"),
                         ("refresh_interval: 10s", "refresh_interval: 1s")):
            if old not in config:
                raise RuntimeError(f"prometheus.yml has no {old}")
            config = config.replace(old, new)
        (work / "prometheus.yml").write_text(config + extra_jobs)
        shutil.copy(DASH / "alerts.yml", work)
        (work / "alertmanager.yml").write_text((DASH / "alertmanager.yml").read_text()
                                               .replace("9099", str(self.webhook.port)))
        for d in ("tsdb", "am"):
            shutil.rmtree(work / d, ignore_errors=True)
        if alertmanager:
            self.start(["prometheus-alertmanager", f"--config.file={work}/alertmanager.yml",
                        f"--storage.path={work}/am", f"--web.listen-address=127.0.0.1:{self.am_port}",
                        "--cluster.listen-address="], "alertmanager.log",
                       f"http://127.0.0.1:{self.am_port}/-/ready")
        self.start(["prometheus", f"--config.file={work}/prometheus.yml",
                    f"--storage.tsdb.path={work}/tsdb", "--storage.tsdb.retention.time=2h",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--enable-feature=exemplar-storage"], "prometheus.log",
                   f"http://127.0.0.1:{self.port}/-/ready")

    def start(self, command, log, url):
        self.stack.callback(Server(command, self.work / log, url).close)

    def close(self):
        self.stack.close()
        self.webhook.close()

    def api(self, path, **args):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?" + urllib.parse.urlencode(args)
        try:
            return json.loads(get(url)[0])["data"]
        except urllib.error.HTTPError as e:
            raise ValueError(json.loads(e.read())["error"]) from e

    def query(self, expr):
        return self.api("query", query=expr)["result"]

    def alerts(self):
        return json.loads(get(f"http://127.0.0.1:{self.am_port}/api/v2/alerts")[0])

    def heard(self, name):
        return [a for a in self.webhook.alerts if a["labels"]["alertname"] == name]


def substitute(expr, values):
    for k, v in values.items():
        expr = expr.replace("${" + k + "}", v).replace("$" + k, v)
    left = re.findall(r"\$\w+", expr)
    if left:
        raise ValueError(f"variables without a value: {left}")
    return expr
