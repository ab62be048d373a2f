"""How requests reach the app: routes, ports, several replicas."""

from __future__ import annotations

from anytier.conformance.check import expect, same
from anytier.conformance.trial import Trial

LATE_HOST = "late.conformance.test"


def routes(trial: Trial) -> str:
    trial.settle()
    same(trial.get("/seen?a=b")["path"], "/seen", "path of /seen as the app sees it")
    stripped = trial.get("/store/seen?a=b")
    same((stripped["path"], stripped["query"]), ("/seen", "a=b"), "path of /store/seen, prefix stripped")
    kept = trial.request("/kept/seen")
    same((kept.status, kept.content), (404, {"error": "nothing at GET /kept/seen"}), "path of /kept/seen, prefix kept")
    late = trial.report("late")["instance"]
    by_host = trial.get("/report", host=LATE_HOST)["instance"]
    same(by_host, late, f"who answers for host {LATE_HOST}")
    expect(trial.report()["instance"] != late, "without that host, / must be app's")
    headers = {name.lower(): value for name, value in trial.get("/seen", host="shop.example")["headers"].items()}
    same(headers.get("host"), "shop.example", "Host header as the app sees it")
    expect("127.0.0.1" in headers.get("x-forwarded-for", "") or headers.get("x-forwarded-for"), "no X-Forwarded-For")
    return "by path, longest first; prefix stripped and kept; by host; Host and X-Forwarded-For handed on"


def service(trial: Trial) -> str:
    """A workload reaches another by the address that its placeholders gave: HTTP through the proxy, TCP directly."""
    trial.settle()
    same(trial.get("/peer/echo?send=ping")["answer"], "ping", "answer of echo over TCP")
    line = trial.get("/peer/store?send=GET%20/%20HTTP/1.0%0D%0A")["answer"]
    expect(line.startswith("HTTP/1."), f"store did not answer HTTP at its service address: {line!r}")
    return "TCP and HTTP ports of other workloads, at the addresses that placeholders gave"


def replicas(trial: Trial) -> str:
    trial.settle()
    found = trial.replicas(2)
    answers = [trial.get("/")["instance"] for _ in range(40)]
    shares = {name: answers.count(name) for name in found}
    expect(min(shares.values()) >= 8, f"requests are not shared: {shares}")
    return "40 requests: " + ", ".join(f"{count} to {name}" for name, count in shares.items())
