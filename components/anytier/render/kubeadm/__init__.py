"""What kubeadm, the kubelet and containerd are given on a machine, as data and text. Pure."""
