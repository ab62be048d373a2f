"""`pulumi-analyzer-policy-anytier`: the policy pack as the engine starts it, by a folder whose runtime is `anytier`."""

from __future__ import annotations

MODULES = ("analyzer_pb2", "analyzer_pb2_grpc", "plugin_pb2")


def main() -> None:
    from anytier.provider.protocol import import_alone

    import_alone(MODULES)
    from anytier.policypack.serve import main as serve

    serve()


if __name__ == "__main__":
    main()
