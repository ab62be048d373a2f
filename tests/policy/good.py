"""A stack that keeps every rule, in as few resources as that takes: what the flips of the tests begin with."""

from __future__ import annotations

from typing import Any

from anytier.marks import Secret
from anytier.policy.resource import Resource

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlc3VHZbPyIWFkNM5gKzVhKa3wVLKGbG3mqsLtTkJJ7"
SSH = {"kind": "ssh", "address": "10.0.0.1", "port": 22, "user": "root", "hostKey": KEY, "connectTimeout": 15}
LOOSE = {"jump": {"address": "bastion", "hostKey": KEY}, "privateKey": Secret("key")}
HYPERVISOR = {"uri": "qemu+ssh://root@h/system", "unverified": False}
DAEMON = {"host": "tcp://d:2376", "caCert": "/ca.pem", "cert": "/cert.pem", "key": "/key.pem"}
CONTAINER = {
    "name": "web",
    "image": "sha256:01",
    "user": "10001",
    "env": {"A": "1", "B": "${secrets.token}"},
    "secretEnv": {"TOKEN": "token"},
    "command": ["serve"],
    "args": ["--port", "80"],
    "limits": {"memory": 134217728},
    "capAdd": ["NET_BIND_SERVICE"],
}
PROCESS = {
    "command": ["serve", "--port", "80"],
    "env": {"A": "1", "B": "${secrets.token}"},
    "secretEnv": {"TOKEN": "token"},
    "files": [{"target": "/etc/key", "content": "${secrets.token}", "mode": "0400"}],
    "limits": {"memory": 134217728},
}
POD = {
    "serviceAccountName": "web",
    "automountServiceAccountToken": False,
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "volumes": [{"name": "data", "emptyDir": {}}],
    "containers": [
        {
            "name": "web",
            "image": "registry.example.org:5000/web:1.0",
            "command": ["serve"],
            "args": ["--all"],
            "env": [{"name": "A", "value": "1"}],
            "ports": [{"containerPort": 80}],
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            },
        }
    ],
}
_OBJECT = {"name": "web", "namespace": "app"}


def resource(name: str, type: str, props: dict[str, Any], **more: Any) -> Resource:
    return Resource(type, name, props, urn=name, **more)


EKS_CLUSTER = {
    "vpcConfig": {
        "endpointPrivateAccess": True,
        "endpointPublicAccess": True,
        "publicAccessCidrs": ["198.51.100.0/24"],
    },
    "encryptionConfig": {"provider": {"keyArn": "arn:key"}, "resources": ["secrets"]},
    "enabledClusterLogTypes": ["api", "audit", "authenticator", "controllerManager", "scheduler"],
    "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
    "computeConfig": {"enabled": False},
    "version": "1.34",
    "deletionProtection": False,
}
EKS = [
    resource("role", "aws:iam/role:Role", {}),
    resource("other-role", "aws:iam/role:Role", {}),
    resource("subnet", "aws:ec2/subnet:Subnet", {"mapPublicIpOnLaunch": False, "tags": {"Name": "private"}}),
    resource("eks", "aws:eks/cluster:Cluster", EKS_CLUSTER),
    resource("eks-auto", "aws:eks/cluster:Cluster", EKS_CLUSTER | {"computeConfig": {"enabled": True}}),
    resource("auto-network", "kubernetes:core/v1:ConfigMap", {
        "metadata": {"name": "amazon-vpc-cni", "namespace": "kube-system"},
        "data": {"enable-network-policy-controller": "true"},
    }),
    resource("template", "aws:ec2/launchTemplate:LaunchTemplate", {
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
        "networkInterfaces": [{"associatePublicIpAddress": "false"}],
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "volumeSize": 50}}],
    }),
    resource("pool", "aws:eks/nodeGroup:NodeGroup", {
        "subnetIds": ["subnet-1"], "launchTemplate": {"id": "lt-1", "version": "1"},
    }, property_dependencies={"subnetIds": ["subnet"]}),
    resource("cni", "aws:eks/addon:Addon", {
        "addonName": "vpc-cni", "addonVersion": "v1.20.4-eksbuild.2",
        "configurationValues": '{"enableNetworkPolicy": "true"}',
    }),
    resource("identity", "aws:eks/podIdentityAssociation:PodIdentityAssociation", {
        "namespace": "app", "serviceAccount": "web", "roleArn": "arn:1",
    }, property_dependencies={"roleArn": ["role"]}),
    resource("other-identity", "aws:eks/podIdentityAssociation:PodIdentityAssociation", {
        "namespace": "app", "serviceAccount": "store", "roleArn": "arn:2",
    }, property_dependencies={"roleArn": ["other-role"]}),
    resource("gp3", "kubernetes:storage.k8s.io/v1:StorageClass", {
        "provisioner": "ebs.csi.aws.com", "parameters": {"type": "gp3", "encrypted": "true"},
    }),
]  # fmt: skip
GKE = [
    resource("gke", "gcp:container/cluster:Cluster", {
        "enableAutopilot": False,
        "removeDefaultNodePool": True,
        "privateClusterConfig": {"enablePrivateNodes": True, "enablePrivateEndpoint": False},
        "masterAuthorizedNetworksConfig": {"cidrBlocks": [{"cidrBlock": "198.51.100.0/24", "displayName": "us"}]},
        "databaseEncryption": {"state": "ENCRYPTED", "keyName": "projects/p/key"},
        "workloadIdentityConfig": {"workloadPool": "p.svc.id.goog"},
        "enableShieldedNodes": True,
        "releaseChannel": {"channel": "REGULAR"},
        "datapathProvider": "ADVANCED_DATAPATH",
        "masterAuth": {"clientCertificateConfig": {"issueClientCertificate": False}},
        "enableLegacyAbac": False,
        "loggingConfig": {"enableComponents": ["SYSTEM_COMPONENTS", "WORKLOADS"]},
        "monitoringConfig": {"enableComponents": ["SYSTEM_COMPONENTS"]},
        "enableIntranodeVisibility": True,
    }),
    resource("gke-pool", "gcp:container/nodePool:NodePool", {
        "nodeConfig": {
            "workloadMetadataConfig": {"mode": "GKE_METADATA"},
            "serviceAccount": "nodes@p.iam.gserviceaccount.com",
            "shieldedInstanceConfig": {"enableSecureBoot": True, "enableIntegrityMonitoring": True},
            "imageType": "COS_CONTAINERD",
        },
        "networkConfig": {"enablePrivateNodes": True},
        "management": {"autoRepair": True, "autoUpgrade": True},
    }),
]  # fmt: skip
AKS_POOL = {
    "enableNodePublicIP": False,
    "enableEncryptionAtHost": True,
    "securityProfile": {"enableSecureBoot": True, "enableVTPM": True},
}
AKS = [
    resource("aks", "azure-native:containerservice:ManagedCluster", {
        "apiServerAccessProfile": {
            "enablePrivateCluster": False, "authorizedIPRanges": ["198.51.100.0/24"], "disableRunCommand": True,
        },
        "disableLocalAccounts": True,
        "enableRBAC": True,
        "aadProfile": {"managed": True, "enableAzureRBAC": True},
        "networkProfile": {"networkPolicy": "cilium", "networkDataplane": "cilium"},
        "agentPoolProfiles": [{"name": "system", **AKS_POOL}],
        "securityProfile": {
            "azureKeyVaultKms": {"enabled": True, "keyId": "https://v.vault.azure.net/keys/k/1"},
            "workloadIdentity": {"enabled": True},
        },
        "oidcIssuerProfile": {"enabled": True},
        "addonProfiles": {"azurepolicy": {"enabled": True}},
        "autoUpgradeProfile": {"upgradeChannel": "patch", "nodeOSUpgradeChannel": "NodeImage"},
        "sku": {"name": "Base", "tier": "Standard"},
    }),
    resource("aks-pool", "azure-native:containerservice:AgentPool", dict(AKS_POOL)),
    resource("audit", "azure-native:monitor:DiagnosticSetting", {
        "resourceUri": "/aks", "workspaceId": "/workspace", "logs": [{"category": "kube-audit-admin", "enabled": True}],
    }, property_dependencies={"resourceUri": ["aks"]}),
]  # fmt: skip
KUBEADM = [
    resource("control-plane", "anytier:kubeadm:ControlPlane", {
        "machine": SSH, "audit": True, "encryptionKey": Secret("k" * 40), "apiServer": {}, "controllerManager": {},
        "scheduler": {}, "etcd": {}, "kubelet": {}, "kubeProxy": {},
    }, outputs={"certificatesExpire": "2030-01-01T00:00:00Z"}),
    resource("node", "anytier:kubeadm:Node", {
        "machine": SSH | LOOSE, "protectKernelDefaults": True,
        "repository": {"url": "https://pkgs.k8s.io/core:/stable:/v1.34/deb/", "registry": "r.example.org/mirror"},
    }),
    resource("on-nodes", "anytier:kubeadm:Image", {"machines": [SSH], "builder": DAEMON}),
]  # fmt: skip
KUBERNETES = [
    resource("namespace", "kubernetes:core/v1:Namespace", {
        "metadata": {"name": "app", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }),
    resource("deny", "kubernetes:networking.k8s.io/v1:NetworkPolicy", {
        "metadata": _OBJECT,
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [
                {"ports": [{"protocol": "UDP", "port": 53}]},
                {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]},
            ],
        },
    }),
    resource("web", "kubernetes:apps/v1:Deployment", {"metadata": _OBJECT, "spec": {"template": {"spec": POD}}}),
    resource("network", "kubernetes:apps/v1:DaemonSet", {
        "metadata": {"name": "flannel", "namespace": "kube-flannel"},
        "spec": {"template": {"spec": {
            "hostNetwork": True,
            "volumes": [{"name": "run", "hostPath": {"path": "/run/flannel"}}],
            "containers": [{
                "name": "flannel",
                "image": "ghcr.io/flannel-io/flannel@sha256:01",
                "resources": {"requests": {"cpu": "50m", "memory": "50Mi"}},
                "securityContext": {
                    "privileged": False, "runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"},
                    "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
                },
            }],
        }}},
    }),
    resource("role-web", "kubernetes:rbac.authorization.k8s.io/v1:Role", {
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }),
    resource("binding", "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding", {"roleRef": {"name": "view"}}),
]  # fmt: skip
HOST = [
    resource("machine", "anytier:host:Machine", {"machine": {**SSH, "hostKey": None} | LOOSE}),
    resource("app", "anytier:host:Workload", {
        "machine": SSH, "supervisor": "systemd-system", "template": {"process": PROCESS},
    }),
    resource("imaged", "anytier:host:Workload", {
        "machine": SSH, "supervisor": "systemd-system",
        "template": {"process": {
            "user": "10001", "limits": {"memory": 1}, "image": {"digest": "sha256:01", "capAdd": [], "args": ["a"]},
        }},
    }),
    resource("here", "anytier:host:Workload", {
        "machine": {"kind": "local"}, "supervisor": "supervisord", "template": {"process": PROCESS},
    }),
]  # fmt: skip
DOCKER = [
    resource("contained", "anytier:docker:Workload", {"endpoint": DAEMON, "template": {"containers": [CONTAINER]}}),
    resource("net", "anytier:docker:Network", {"endpoint": {"host": "unix:///var/run/docker.sock"}, "name": "n"}),
]
LIBVIRT = [
    resource("vm", "anytier:libvirt:Domain", {
        "host": HYPERVISOR, "name": "vm", "memory": 512,
        "disks": [{"path": "/pool/root.qcow2"}], "nics": [{"network": "n"}],
    }),
    resource("image", "anytier:libvirt:Volume", {
        "host": HYPERVISOR, "name": "base", "source": {"url": "https://example.org/i.qcow2", "sha256": "ab" * 32},
    }),
    resource("seed", "anytier:libvirt:SeedIso", {"host": HYPERVISOR, "name": "seed.iso"}),
]  # fmt: skip
PARTS = {
    "eks": EKS, "gke": GKE, "aks": AKS, "kubeadm": KUBEADM, "kubernetes": KUBERNETES, "host": HOST, "docker": DOCKER,
    "libvirt": LIBVIRT,
}  # fmt: skip
ALL = [item for part in PARTS.values() for item in part]
