"""Builds the programs: ours as it is released, and those of `benches/` that take part."""

import json
import os
import subprocess
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@dataclass(frozen=True)
class Programs:
    """Paths of what was built."""

    tallygate: str
    bare: str
    paced: str


def build():
    """Ours is built on its own, so that no feature of a test dependency gets into it."""
    return Programs(
        tallygate=_cargo("--bin", "tallygate"),
        bare=_cargo("--bench", "bare_axum"),
        paced=_cargo("--bench", "paced_pushes"),
    )


def _cargo(kind, name):
    command = ["cargo", "build", "--locked", "--release", kind, name]
    command.append("--message-format=json-render-diagnostics")
    outcome = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for line in outcome.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == name:
            return message["executable"]
    raise RuntimeError(f"cargo built {name} and did not say where it is")


def target_directory():
    """Where cargo builds; scratch space is taken there, on a real disk beside the sources."""
    command = ["cargo", "metadata", "--locked", "--no-deps", "--format-version=1"]
    outcome = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(outcome.stdout)["target_directory"]


def has_flag(program, flag):
    """Whether a program's help names a flag."""
    outcome = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    return flag in outcome.stdout


def revision():
    """The commit that is measured, with a mark if the sources differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return outcome.stdout.strip() or "unknown"
