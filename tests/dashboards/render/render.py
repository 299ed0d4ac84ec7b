#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make dashboards-render`: the dashboards in real Chromium with Grafana's scenes library, fed by a
live Prometheus that scrapes five simulated robots. Pictures go into dashboards/screenshots/."""
import argparse
import functools
import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import servers as t  # noqa: E402


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def main():
    p = argparse.ArgumentParser()
    for name in ("--bin", "--npm", "--work", "--out"):
        p.add_argument(name, type=pathlib.Path, required=True)
    a = p.parse_args()
    work, dist = a.work.resolve(), a.work.resolve() / "dist"
    dist.mkdir(parents=True, exist_ok=True)
    a.out.mkdir(parents=True, exist_ok=True)
    subprocess.run(["node", HERE / "build.mjs", a.npm, dist], check=True)
    for board in t.BOARDS:
        shutil.copy(board, dist)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(dist)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sim = t.Simulator(a.bin / "exporter_sim", 5, 6, work / "targets.json")
    live, failed = None, 0
    try:
        live = t.Live(work, work / "targets.json")
        time.sleep(25)
        sim.tell("hold 2 3 6")
        sim.tell("lose 1 400")
        time.sleep(12)
        sim.tell("stop 0 1 13")
        time.sleep(14)
        sim.tell("stop 0 1 9")
        sim.tell("hold 3 2 30")
        time.sleep(6)
        for path in t.BOARDS:
            board = path.stem
            node = "&var-robot=robot-01&var-node=detector" if board == "node" else ""
            grid = [p["gridPos"] for p in json.loads(path.read_text())["panels"]]
            # A row of the grid is 30 pixels and 8 between; above it are the variables.
            height = 38 * max(g["y"] + g["h"] for g in grid) + 70
            url = (f"http://127.0.0.1:{server.server_port}/index.html?dash={board}.json"
                   f"&prometheus=http://127.0.0.1:{live.port}&from=now-90s{node}")
            failed |= subprocess.run(["node", HERE / "shot.mjs", a.npm, url,
                                      a.out / f"{board}.png", str(height)]).returncode
    finally:
        if live:
            live.close()
        sim.close()
        server.shutdown()
    return failed


if __name__ == "__main__":
    sys.exit(main())
