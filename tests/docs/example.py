"""The change of which docs/ci/comment-example.md is the comment.

Of its stacks one loses data and breaks a rule, one has a mistake in its file, one is new, one is as it was.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.pipeline.runner import ROOT

SHOP = """\
apiVersion: anytier.dev/v1
kind: App
metadata: {name: shop}
workloads:
  web:
    containers:
      web:
        image: registry.example.org/shop:1.4.0
        variables: {LOG_LEVEL: info}
        secrets: {TOKEN: token}
        volumes: {/data: {source: orders}}
        resources: {limits: {memory: 256Mi}}
    service: {ports: {http: {port: 80}}}
  search:
    containers: {search: {image: "registry.example.org/search:7", resources: {limits: {memory: 1Gi}}}}
    service: {ports: {http: {port: 9200}}}
routes: [{workload: web, port: http}]
resources: {orders: {type: volume}}
secrets: {token: {from: generate}}
"""
BLOG = """\
apiVersion: anytier.dev/v1
kind: App
metadata: {name: blog}
workloads:
  web:
    containers: {web: {image: "registry.example.org/blog:3", resources: {limits: {memory: 128Mi}}}}
    service: {ports: {http: {port: 80}}}
routes: [{workload: web, port: http}]
"""
CHANGED = {
    "shop:1.4.0": "shop:1.5.0\n        securityContext: {capAdd: [NET_ADMIN]}",
    "LOG_LEVEL: info": "LOG_LEVEL: debug",
    "source: orders": "source: orders-v2",
    "resources: {orders:": "resources: {orders-v2:",
    "search:7": "search:8",
}


def stack(app: str, tier: str = "docker", port: int = 8080) -> str:
    return f"config: {{anytier:app: {app}, anytier:tier: {tier}, anytier:port: {port}}}\n"


def comment(folder: Path) -> str:
    """What the pipeline's own script writes of it, in a repository that is made in the empty `folder`."""
    before = {
        "Pulumi.yaml": "name: shop\nruntime: python\nstackConfigDir: stacks\n",
        "shop.yaml": SHOP,
        "blog.yaml": BLOG,
        "stacks/Pulumi.prod.yaml": stack("shop.yaml"),
        "stacks/Pulumi.staging.yaml": stack("shop.yaml", port=8081),
        "stacks/Pulumi.blog.yaml": stack("blog.yaml", port=8082),
    }
    shop = SHOP
    for old, new in CHANGED.items():
        shop = shop.replace(old, new)
    after = {
        "shop.yaml": shop,
        "stacks/Pulumi.staging.yaml": stack("shop.yaml", "dokcer", 8081),
        "stacks/Pulumi.demo.yaml": stack("blog.yaml", port=8083),
    }
    _git(folder, "init", "-q", "-b", "main")
    _commit(folder, before)
    _commit(folder, after)
    out = folder / "preview"
    env = {
        **_ENV,
        "ANYTIER": str(Path(sys.executable).with_name("anytier")),
        "ANYTIER_OUT": str(out),
        "PYTHONPATH": str(ROOT / "components"),
    }
    subprocess.run([ROOT / "tools" / "preview.sh", "run", folder], env=env, capture_output=True, timeout=300)
    return (out / "comment.md").read_text(encoding="utf-8")


# So that the commit, which the comment names, is the same each time.
_WHO = {"NAME": "a", "EMAIL": "a@example.org", "DATE": "2026-11-29T12:00:00Z"}
_ENV = {
    **os.environ,
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _WHO.items()},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def _commit(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    _git(folder, "add", "--all")
    _git(folder, "commit", "-q", "-m", "a change")


def _git(folder: Path, *args: str) -> None:
    subprocess.run(["git", "-C", str(folder), *args], env=_ENV, check=True)


def as_github_shows(html: str) -> str:
    """A whole page around a comment, in colours and sizes like GitHub's own."""
    style = Path(__file__).with_name("comment.css").read_text(encoding="utf-8")
    head = f'<!doctype html><meta charset="utf-8"><title>a comment</title><style>{style}</style>'
    return f"{head}<article><header><b>github-actions</b> <i>bot</i> commented</header><main>{html}</main></article>"
