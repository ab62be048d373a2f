"""Clusters by kubeadm on machines that are started here."""
