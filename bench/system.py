"""The machine: what it is, how long its disk takes to sync, and which programs it has."""

import os
import platform
import shutil
import statistics
import subprocess
import time

# command -> Debian package
TOOLS = {"wrk": "wrk", "prometheus-pushgateway": "prometheus-pushgateway"}
POLICY = "/usr/sbin/policy-rc.d"
SYNCS = 200
SYNC_BYTES = 4_096


class Missing(Exception):
    """Something that the benchmark needs is not there; the text says how to get it."""


def install_tools():
    """Installs what is missing from Debian if we may, and says what to install if not."""
    packages = [package for command, package in TOOLS.items() if shutil.which(command) is None]
    if not packages:
        return
    wanted = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Missing(f"missing: {wanted}. Install with: sudo apt-get install --no-install-recommends {wanted}")
    print(f"installing {wanted}", flush=True)
    _apt(packages)
    left = [command for command in TOOLS if shutil.which(command) is None]
    if left:
        raise Missing(f"still missing after apt-get install: {' '.join(left)}")


def _apt(packages):
    """The packages' services must not start and take ports, which Debian asks `policy-rc.d` about."""
    made = not os.path.exists(POLICY)
    if made:
        with open(POLICY, "w", encoding="ascii") as policy:
            policy.write("#!/bin/sh\nexit 101\n")
        os.chmod(POLICY, 0o755)
    try:
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        subprocess.run(install, check=False, env=environment, stdin=subprocess.DEVNULL)
    finally:
        if made:
            os.remove(POLICY)


def sync_seconds(directory):
    """The median time of an fdatasync after 4 KiB were appended to a file in `directory`."""
    path = os.path.join(directory, "sync-probe")
    block = os.urandom(SYNC_BYTES)
    times = []
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        for _ in range(SYNCS):
            os.write(file, block)
            start = time.perf_counter()
            os.fdatasync(file)
            times.append(time.perf_counter() - start)
    finally:
        os.close(file)
        os.remove(path)
    return statistics.median(times)


def filesystem(directory):
    """The type of the file system that holds `directory`."""
    best, kind = "", "unknown"
    target = os.path.realpath(directory)
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            point, this = line.split()[1:3]
            inside = target == point or target.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):
                best, kind = point, this
    return kind


def facts(directory):
    """What a reader must know of the machine to judge figures: name -> text."""
    return {
        "CPU": _first_value("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(_first_value('/proc/meminfo', 'MemTotal').split()[0]) / 1048576:.0f} GiB",
        "kernel": platform.release(),
        "file system": filesystem(directory),
        "wrk": _first_line(["wrk", "--version"]),
        "Pushgateway": _first_line(["prometheus-pushgateway", "--version"]),
        "rustc": _first_line(["rustc", "--version"]),
    }


def _first_value(path, key):
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return "unknown"


def _first_line(command):
    """The first line that a program prints of itself; wrk ends with an error code after its version."""
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (outcome.stdout or outcome.stderr).strip().splitlines() or ["unknown"]
    return lines[0].split("(")[0].split("[")[0].strip(" ,")
