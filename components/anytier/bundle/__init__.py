"""A bundle: a folder with all software of a Kubernetes cluster, each file with its checksum. Read, verified, filled."""
