"""How requests reach the app: routes, ports, several replicas."""

from __future__ import annotations

import http.client
import re
import ssl

from anytier.conformance.certificate import Pair, self_signed
from anytier.conformance.check import Failed, expect, same
from anytier.conformance.checks.release import starts
from anytier.conformance.patch import Patch, workload
from anytier.conformance.trial import Trial, free_ports

LATE_HOST = "late.conformance.test"
TLS_HOST = "tls.conformance.test"


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


def exposed(trial: Trial) -> str:
    """A second port of a service, on the machine itself, leads to the same port of the app."""
    number = free_ports(1)[0]
    ports = {"extra": {"port": number, "targetPort": 8080, "expose": "host"}}
    trial.up(workload("late", {"service": {"ports": ports}}))
    wanted, address = trial.report("late")["instance"], trial.exposed(number)
    expect(trial.reached(address, number), f"nobody answers on port {number}")
    found = trial.get("/report", port=number, address=address)["instance"]
    same(found, wanted, f"who answers on the exposed port {number}")
    return f"expose: host, port {number}: answered by late"


def proxy_restart(trial: Trial) -> str:
    """Killed, the proxy comes back by itself with all its routes and upstreams; the app does not notice."""
    trial.settle()
    before = starts(trial, 2)
    trial.place.kill_proxy(trial.ns)
    expect(trial.until(trial.answers, seconds=20, every=0.1), "the proxy has not come back within 20 s")
    same(starts(trial, 2), before, "start times of what serves")
    routes(trial)
    trial.preview("--refresh", "--expect-no-changes")
    return "kill -9 of the proxy: back with every route and upstream, app untouched, no drift"


def tls(trial: Trial) -> str:
    """A given certificate is served on its host; plain requests are sent there; a renewed one needs no restart."""
    trial.ready()
    first, second = self_signed(TLS_HOST), self_signed(TLS_HOST)
    trial.up(with_tls(trial, first))
    before = starts(trial, 2)
    same(served_certificate(trial), first.der, "the certificate that is served")
    moved = trial.request("/report?x=1", host=TLS_HOST)
    location = {name.lower(): value for name, value in moved.headers.items()}.get("location", "")
    expect(moved.status in (301, 302, 307, 308), f"a plain request gets HTTP {moved.status}, no redirect")
    expect(re.match(rf"https://{TLS_HOST}(:{trial.tls_port})?/report\?x=1$", location), f"redirected to {location!r}")
    trial.up(with_tls(trial, second))
    renewed = trial.until(lambda: served_certificate(trial) == second.der, seconds=10)
    expect(renewed, "the renewed certificate is not served within 10 s")
    same(starts(trial, 2), before, "start times of what serves, after the renewal")
    return "given certificate served, HTTP redirected, renewed without a restart of the app"


def with_tls(trial: Trial, pair: Pair) -> Patch:
    for name, text in (("tls.crt", pair.certificate), ("tls.key", pair.key)):
        (trial.app_dir / name).write_text(text)
    route = {"host": TLS_HOST, "path": "/", "workload": "app", "port": "http"}
    given = {"secretRef": {"certificate": "tls-crt", "key": "tls-key"}, "redirect": True}
    secrets = {name: {"from": "file", "path": name.replace("-", ".")} for name in ("tls-crt", "tls-key")}
    return {"routes": [*trial.base["routes"], {**route, "tls": given}], "secrets": secrets}


def served_certificate(trial: Trial) -> bytes:
    """What the proxy shows for TLS_HOST, if a request over it is answered by the app."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # compared byte for byte instead
    connection = http.client.HTTPConnection(trial.place.address, trial.tls_port, timeout=10 * trial.pace)
    try:
        connection.connect()
        connection.sock = wrapped = context.wrap_socket(connection.sock, server_hostname=TLS_HOST)
        connection.request("GET", "/", headers={"Host": TLS_HOST})
        status = connection.getresponse().status
        expect(status == 200, f"https://{TLS_HOST}/: HTTP {status}")
        return wrapped.getpeercert(binary_form=True) or b""
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"https://{TLS_HOST}/: {type(error).__name__} {error}") from error
    finally:
        connection.close()
