"""What a process is given: environment, arguments, files, secrets, user, root folder."""

from __future__ import annotations

import hashlib
from typing import Any

from anytier.capabilities import lookup
from anytier.conformance.check import Failed, expect, same
from anytier.conformance.trial import Trial

TEXT = "two words; $HOME \"quoted\" 'single' %h \\ ü"


def deploys(trial: Trial) -> str:
    try:
        run = trial.up()
        instances = trial.replicas(2)
        trial.first = {name: trial.report(name) for name in ("store", "late")} | {"app": span(instances)}
    except Failed as failed:
        trial.broken = failed.what
        raise
    return f"up in {run.seconds:.1f} s, {len(instances)} instances of version {one(instances)['version']} serve"


def env(trial: Trial) -> str:
    trial.settle()
    found = trial.report()["env"]
    wanted = {
        "CONF_TEXT": TEXT + " #!{}`date`",
        "CONF_LINES": "first\nsecond\n",
        "CONF_EMPTY": "",
        "CONF_NAME": "conformance",
    }
    for name, value in wanted.items():
        same(found.get(name), value, f"variable {name}")
    return f"{len(wanted)} variables byte for byte: metacharacters, lines, empty, placeholder"


def command(trial: Trial) -> str:
    trial.settle()
    same(trial.report()["argv"], ["serve", "--text", TEXT], "arguments")
    return "command and arguments byte for byte"


def files(trial: Trial) -> str:
    trial.settle()
    found = trial.report()["files"]
    wanted = {
        "/etc/conformance/text": ('name: conformance\n\ttab, $HOME, "quotes", ü, %h\n'.encode(), "0640"),
        "/etc/conformance/raw": (b"${metadata.name} stays\n", "0644"),
        "/etc/conformance/binary": (b"\x00\x01\x02\x03\xff\xfe\xfd", "0444"),
        "/etc/conformance/source": ((trial.app_dir / "settings.txt").read_bytes(), "0755"),
    }
    for path, (content, mode) in wanted.items():
        facts = found.get(path) or {"error": "not reported"}
        expect("error" not in facts, f"file {path}: {facts.get('error')}")
        same(facts["sha256"], hashlib.sha256(content).hexdigest(), f"content of {path}, {facts['size']} bytes")
        same(facts["mode"], as_there(trial, mode), f"mode of {path}")
    modes = ", ".join(as_there(trial, mode) for _, mode in wanted.values())
    return f"{len(wanted)} files: content, placeholder, noExpand, binary, source; modes {modes}"


def secrets(trial: Trial) -> str:
    trial.settle()
    report = trial.report()
    same(report["secrets"].get("TOKEN"), hashlib.sha256(trial.canary.encode()).hexdigest(), "SHA-256 of secret TOKEN")
    made = {each["secrets"].get("MADE") for each in trial.replicas(2).values()}
    expect(None not in made, "the generated secret is missing")
    expect(len(made) == 1, "the generated secret differs between replicas")
    facts = report["files"]["/etc/conformance/secret"]
    expect("error" not in facts, f"file with a secret: {facts.get('error')}")
    content = f"token={trial.canary}\n".encode()
    same(facts["sha256"], hashlib.sha256(content).hexdigest(), "content of the file with a secret")
    mode = as_there(trial, "0400")
    same(facts["mode"], mode, "mode of the file with a secret")
    return f"from config and generated, as variables and in a file ({mode})"


def as_there(trial: Trial, mode: str) -> str:
    """Where a file cannot be given to a user, as the table says, it is root's, and the app's group reads it."""
    if lookup("workloads.*.containers.*.files.*.owner", trial.place.tier).carried:
        return mode
    return f"0{int(mode, 8) | 0o040:o}"


def canary(trial: Trial) -> str:
    """The secret's value is nowhere but where secrets are kept."""
    trial.settle()
    preview = trial.preview("--diff", "--json")
    # At -v=9 the engine itself prints whatever passes through it, as Pulumi's own documentation warns.
    verbose = trial.preview("--refresh", "--diff", "--show-replacement-steps", "--logtostderr", "-v=8", "--logflow")
    places = dict(trial.place.visible(trial.ns))
    places |= {"preview --json": preview.output, "preview with debug log": verbose.output}
    places |= {f"output of run {number}": text for number, text in enumerate(trial.printed)}
    places |= {f"state {path.name}": path.read_text(errors="replace") for path in trial.state_files()}
    places["stack config"] = trial.config_file.read_text()
    places["logs"] = trial.anytier("logs", fails=True).output
    leaks = [source for source, text in places.items() if trial.canary in text]
    expect(not leaks, f"the secret's value is readable in {len(leaks)} places: {', '.join(leaks[:6])}")
    return f"a random value, not found in {len(places)} places: state, previews, debug log, argv, inspect, logs, files"


def identity(trial: Trial) -> str:
    """User, folder and root: in containers as the container section says; a native process is the deploying user's."""
    trial.settle()
    report: dict[str, Any] = trial.report()
    if not trial.place.containers:
        expect(
            not report["cwd"].startswith(str(trial.app_dir)), "runs from the spec's folder, not from a release of it"
        )
        return (
            f"native process in a release of the spec's folder, uid {report['uid']}; the container section is not its"
        )
    same(report["uid"], 10001, "uid")
    same(report["cwd"], "/app", "working directory")
    same(report["rootWritable"], False, "root folder writable")
    same(int(report["capabilities"], 16), 0, "capabilities")
    same(report["noNewPrivileges"], "1", "no-new-privileges")
    return "uid 10001 in /app, read-only root, no capabilities, no new privileges"


def span(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Of several replicas: when the first started and when the last was ready."""
    ready = [report["readyAt"] for report in reports.values()]
    return {"started": min(r["started"] for r in reports.values()), "readyAt": None if None in ready else max(ready)}


def one(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return next(iter(reports.values()))
