"""What `aws eks get-token`, `gke-gcloud-auth-plugin`, `kubelogin` and `az acr login --expose-token` (in the form that
tier aks asks for) print, from the control file instead of a cloud.

`credential` there is the `status` of an ExecCredential: a token, or a client's certificate and key.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.standins.world import FOLDER, World


def main() -> None:
    said = World(Path(os.environ[FOLDER])).control().get("credential")
    if said is None:
        sys.exit("the stand-in was told no credential: World.tell(credential={...})")
    version = "client.authentication.k8s.io/v1beta1"
    asked = json.loads(os.environ.get("KUBERNETES_EXEC_INFO") or "{}").get("apiVersion", version)
    print(json.dumps({"apiVersion": asked, "kind": "ExecCredential", "status": said}))
