"""The pack's life: it prints its port, serves until the engine is done with it, and never outlives the engine.

Standard output belongs to the engine: the port, and nothing else ever.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent import futures

import grpc
from pulumi.runtime.proto import analyzer_pb2_grpc

from anytier import __version__
from anytier.policypack.servicer import Servicer

_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
_LOOK = 1.0  # seconds between looks whether the engine still lives
_WORKERS = 4


def main() -> None:
    engine = os.getppid()
    # Ctrl-C reaches the whole terminal; the engine, which has it too, says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    done = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(_WORKERS), options=_OPTIONS)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Servicer(__version__, done), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    os.dup2(2, 1)
    while not done.wait(_LOOK) and os.getppid() == engine:
        pass
    server.stop(_LOOK).wait()
    os._exit(0)
