"""What must be up before what, for the runtimes: `render.order` has it, since Kubernetes objects need it too."""

from __future__ import annotations

from anytier.render.order import before_jobs, closure, jobs_with, workload_order

__all__ = ["before_jobs", "closure", "jobs_with", "workload_order"]
