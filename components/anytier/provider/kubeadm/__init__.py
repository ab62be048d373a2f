"""Machines become a Kubernetes cluster by kubeadm: everything over a machine's own connection, nothing by kubectl."""
