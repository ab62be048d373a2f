"""The engine's view: no-op, drift, import, destroy."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anytier.conformance.check import Failed, expect, same
from anytier.conformance.checks.release import starts
from anytier.conformance.places.base import Heals, Told
from anytier.conformance.trial import Trial

OURS = "anytier:"
MADE = ("docker:", "host:")


def no_op(trial: Trial) -> str:
    trial.settle()
    before = starts(trial, 2)
    again = trial.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    trial.preview("--refresh", "--expect-no-changes")
    same(starts(trial, 2), before, "start times of what serves")
    return f"a second up changes nothing ({again.seconds:.1f} s), nor does a preview with refresh"


def drift(trial: Trial) -> str:
    """An instance removed behind our back: preview with refresh shows it, up repairs it, the other is left alone."""
    trial.settle()
    before = trial.replicas(2)
    chosen = next(iter(before))
    stays = {float(report["started"]) for name, report in before.items() if name != chosen}
    trial.place.remove_instance(trial.ns, before[chosen])
    expect(
        trial.until(lambda: chosen not in {trial.get("/")["instance"] for _ in range(6)}, 30),
        "the instance is still there",
    )
    if isinstance(trial.place, Heals):
        return healed(trial, trial.place, stays)
    shown = trial.preview("--refresh", "--expect-no-changes", "--diff", fails=True)
    expect(shown.code != 0, "preview --refresh does not show that an instance is gone", shown.tail())
    repaired = trial.up(args=("--refresh",))
    expect(stays <= starts(trial, 2), "the instance that was left alone was restarted")
    trial.preview("--refresh", "--expect-no-changes")
    return f"an instance removed: preview exits {shown.code}, up repairs it in {repaired.seconds:.1f} s"


def healed(trial: Trial, place: Heals, stays: set[float]) -> str:
    """The place mends that by itself, which is no drift; what is drift there is another definition."""
    expect(stays <= starts(trial, 2), "the instance that was left alone was restarted")
    trial.preview("--refresh", "--expect-no-changes")
    place.meddle(trial.ns, "app", 1)
    shown = trial.preview("--refresh", "--expect-no-changes", "--diff", fails=True)
    expect(shown.code != 0, "preview --refresh does not show that fewer instances are wanted", shown.tail())
    repaired = trial.up(args=("--refresh",))
    trial.replicas(2)
    trial.preview("--refresh", "--expect-no-changes")
    return (
        f"an instance removed comes back by itself; a changed number: preview exits {shown.code}, "
        f"up repairs it in {repaired.seconds:.1f} s"
    )


def imports(trial: Trial) -> str:
    """Every resource, forgotten by the state and imported by its id, shows no difference afterwards."""
    trial.settle()
    before = starts(trial, 2)
    whole = trial.state()
    state = json.loads(json.dumps(whole))
    ours = [item for item in resources(state) if importable(item)]
    if isinstance(trial.place, Told) and not ours:
        return "nothing of anytier's own lives on there: the cluster and what is on it are their providers' to import"
    expect(ours, "the state holds no resource of anytier's")
    forget = {item["urn"] for item in ours}
    kept = [clean(item, forget) for item in resources(state) if item["urn"] not in forget]
    state["deployment"]["resources"] = kept
    put_state(trial, state)
    trial.deployed = None
    listed = trial.folder / "import.json"
    listed.write_text(json.dumps(import_file(ours), indent=2))
    try:
        trial.pulumi(
            *("import", "--file", str(listed), "--yes", "--protect=false", "--generate-code=false", "--skip-preview"),
            env=acquainted(trial, whole),
        )
    except Failed:
        put_state(trial, whole)  # or nobody could destroy what is deployed
        raise
    after = trial.preview("--expect-no-changes", "--diff", fails=True)
    if after.code:
        trial.up()
    expect(after.code == 0, "a preview after the import shows changes", after.tail(60))
    same(starts(trial, 2), before, "start times of what serves")
    kinds = sorted({item["type"].removeprefix(OURS) for item in ours})
    return f"{len(ours)} resources ({', '.join(kinds)}): preview shows nothing"


def importable(item: dict[str, Any]) -> bool:
    """What lives on at the place. A job has run and is over, an image is what it was built from, one in a registry is
    what was pushed, and to have waited for the first boot of a machine is part of making it."""
    kind = item["type"].removeprefix(OURS)
    over = kind.endswith((":Job", ":Image", ":Push")) or "firstBoot" in (item.get("inputs") or {})
    return item["type"].startswith(OURS) and kind.startswith(MADE) and not over


def acquainted(trial: Trial, state: dict[str, Any]) -> Mapping[str, str]:
    """A home whose SSH knows the machines that the stack has made: an import goes by the user's own SSH, and nobody's
    can know them. Nothing where they were there before."""
    if trial.made is None:
        return {}
    ssh = trial.folder / "home" / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    shutil.copy(trial.made.key_file, ssh / "id_ed25519")
    found = [item for item in resources(state) if item["type"] == "anytier:host:Machine"]
    lines = [f"{item['inputs']['machine']['address']} {item['outputs']['hostKey']}\n" for item in found]
    (ssh / "known_hosts").write_text("".join(lines))
    home = Path.home()
    kept = {"ANYTIER_TOOLS_DIR": home / ".cache" / "anytier" / "tools", "PULUMI_HOME": home / ".pulumi"}
    return {"HOME": str(ssh.parent), **{name: trial.env.get(name) or str(path) for name, path in kept.items()}}


def resources(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from state["deployment"].get("resources", [])


def clean(item: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    """A resource without its dependencies on what is gone, which the engine would call a corrupt state."""
    result = dict(item)
    result["dependencies"] = [urn for urn in item.get("dependencies", []) if urn not in gone]
    edges = item.get("propertyDependencies") or {}
    result["propertyDependencies"] = {k: [urn for urn in v or [] if urn not in gone] for k, v in edges.items()}
    return result


def import_file(items: list[dict[str, Any]]) -> dict[str, Any]:
    """The engine's bulk-import form: names of parents are looked up in a table of URNs."""
    parents = {item["parent"] for item in items if item.get("parent")}
    names = {urn: f"parent{number}" for number, urn in enumerate(sorted(parents))}
    return {
        "nameTable": {name: urn for urn, name in names.items()},
        "resources": [
            {
                "type": item["type"],
                "name": item["urn"].rpartition("::")[2],
                "id": item["id"],
                **({"parent": names[item["parent"]]} if item.get("parent") in names else {}),
            }
            for item in items
        ],
    }


def put_state(trial: Trial, state: dict[str, Any]) -> None:
    path = trial.folder / "state.json"
    path.write_text(json.dumps(state))
    trial.pulumi("stack", "import", "--file", str(path), "--force")
    path.unlink()


def destroys(trial: Trial) -> str:
    """Nothing of the app is left at the place, and the state is empty."""
    run = trial.pulumi("destroy", "--yes", "--skip-preview")
    left = trial.place.leftovers(trial.ns)
    if left:
        time.sleep(2)  # what is about to end may do so
        left = trial.place.leftovers(trial.ns)
    expect(not left, f"left behind: {'; '.join(left[:8])}")
    rest = [urn for urn, item in trial.urns().items() if item["type"] != "pulumi:pulumi:Stack"]
    expect(not rest, f"the state still holds {', '.join(rest[:4])}")
    try:
        trial.request("/", timeout=2)
    except OSError:
        return f"destroyed in {run.seconds:.1f} s: no process, container, network, volume or folder left"
    raise Failed("something still answers on the app's port")
