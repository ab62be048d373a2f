"""Images of registries, by the OCI distribution and image specifications: found, checked and kept here as files."""
