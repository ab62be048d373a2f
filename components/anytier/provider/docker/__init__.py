"""Resources on a Docker daemon, over its API alone: what works on the local socket works over SSH and TLS as well."""
