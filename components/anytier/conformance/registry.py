"""The list of checks, in the order in which they run: neighbours share what is deployed, which is where the time goes.

A literal table and nothing else; a test holds that every function exists and every field is a row of the spec.
"""

from __future__ import annotations

from anytier.conformance.check import Check

C = "workloads.*.containers.*"
W = "workloads.*"

CHECKS: tuple[Check, ...] = (
    Check("deploy", "the first up serves", (f"{W}.service.ports", f"{C}.build"), "checks.process:deploys"),
    Check("env", "variables arrive byte for byte", (f"{C}.variables",), "checks.process:env"),
    Check(
        "command", "command and arguments arrive byte for byte", (f"{C}.command", f"{C}.args"), "checks.process:command"
    ),
    Check("files", "files have their content and mode", (f"{C}.files",), "checks.process:files"),
    Check(
        "secrets",
        "secrets arrive, as variables and in files",
        (f"{C}.secrets", "secrets.*.from"),
        "checks.process:secrets",
    ),
    Check("canary", "a secret's value is nowhere else", ("secrets.*.from",), "checks.process:canary"),
    Check(
        "identity",
        "user, folder, root and privileges",
        (f"{C}.user", f"{C}.workingDir", f"{C}.securityContext"),
        "checks.process:identity",
    ),
    Check("depends-on", "dependsOn orders the first deploy", (f"{W}.dependsOn",), "checks.order:depends_on"),
    Check("routes", "routes by path, prefix and host", ("routes",), "checks.traffic:routes"),
    Check("ports", "a service port on the machine itself", (f"{W}.service.ports.*.expose",), "checks.traffic:exposed"),
    Check("service", "workloads reach each other, HTTP and TCP", (f"{W}.service",), "checks.traffic:service"),
    Check("replicas", "all replicas serve", (f"{W}.scale.replicas",), "checks.traffic:replicas"),
    Check("no-op", "a second up changes nothing", (), "checks.state:no_op"),
    Check("startup-probe", "startup holds liveness back", (f"{C}.startupProbe",), "checks.health:startup"),
    Check("readiness-probe", "not ready: no requests, no restart", (f"{C}.readinessProbe",), "checks.health:readiness"),
    Check("liveness-probe", "not alive: restarted (httpGet)", (f"{C}.livenessProbe",), "checks.health:liveness"),
    Check("exec-probe", "not alive: restarted (exec)", (f"{C}.livenessProbe.exec",), "checks.health:liveness_exec"),
    Check("grpc-probe", "gRPC probes", (f"{C}.livenessProbe.grpc",), "checks.health:grpc_probe"),
    Check("heal-process", "kill -9 of a process heals", (), "checks.health:heal_process"),
    Check("heal-instance", "kill -9 of a whole instance heals", (), "checks.health:heal_instance"),
    Check("proxy-restart", "kill -9 of the proxy heals", ("routes",), "checks.traffic:proxy_restart"),
    Check("day-two", "status, logs and exec", (), "checks.daytwo:day_two"),
    Check("memory-limit", "the memory limit is in force", (f"{C}.resources.limits.memory",), "checks.limits:memory"),
    Check("scale", "scaling out and in leaves the others alone", (f"{W}.scale.replicas",), "checks.release:scale"),
    Check("rolling-update", "a rolling update loses no request", (f"{W}.update",), "checks.release:rolling"),
    Check("drain", "long requests are let finish", (f"{W}.update.drainTimeout",), "checks.release:drains"),
    Check("killed-run", "a killed run is continued by the next", (f"{W}.update",), "checks.release:killed_run"),
    Check("tls", "TLS with a given certificate", ("routes.*.tls",), "checks.traffic:tls"),
    Check("volume", "data outlive an update", (f"{C}.volumes", "resources.*.type=volume"), "checks.release:volume"),
    Check(
        "lifecycle",
        "stop signal, postStart, preStop",
        (f"{C}.lifecycle", f"{C}.stopSignal", f"{C}.stopGracePeriod"),
        "checks.release:stopping",
    ),
    Check("recreate", "strategy recreate", (f"{W}.update.strategy",), "checks.release:recreate"),
    Check("rollback", "rollback brings the last good version back", (f"{W}.update.retain",), "checks.release:rollback"),
    Check("jobs", "jobs before and after the deploy", ("jobs.*.trigger=preDeploy",), "checks.order:jobs"),
    Check("failing-job", "a failed job stops the release", ("jobs.*.backoffLimit",), "checks.order:failing_job"),
    Check("bad-image", "bad release: nothing to run", (f"{W}.update.autoRollback",), "checks.release:missing_image"),
    Check("bad-exit", "bad release: exits at once", (f"{W}.update.autoRollback",), "checks.release:exits"),
    Check("bad-health", "bad release: never healthy", (f"{W}.update.healthyDeadline",), "checks.release:never_healthy"),
    Check("bad-death", "bad release: healthy, then dies", (f"{W}.update.minHealthyTime",), "checks.release:dies"),
    Check("bad-port", "bad release: wrong port", (f"{W}.update.autoRollback",), "checks.release:wrong_port"),
    Check(
        "bad-memory", "bad release: out of memory", (f"{C}.resources.limits.memory",), "checks.release:out_of_memory"
    ),
    Check("bad-env", "bad release: bad env", (f"{W}.update.autoRollback",), "checks.release:bad_env"),
    Check("tcp-probe", "tcpSocket probe", (f"{C}.readinessProbe.tcpSocket",), "checks.health:tcp_probe"),
    Check("fixed-port", "a port that two copies cannot share", (f"{W}.update.order",), "checks.release:fixed_port"),
    Check("init-sidecar", "init containers and sidecars", (f"{C}.before",), "checks.order:init_and_sidecar"),
    Check("cpu-limit", "the CPU limit is in force", (f"{C}.resources.limits.cpu",), "checks.limits:cpu"),
    Check("drift", "drift is found and repaired", (), "checks.state:drift"),
    Check("import", "import by id is clean", (), "checks.state:imports"),
    Check("destroy", "destroy leaves nothing behind", (), "checks.state:destroys"),
)

LAST = "destroy"  # runs at the end of every run, however little was asked for
FIRST = "deploy"
