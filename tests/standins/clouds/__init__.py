"""What is particular to each cloud: ids, outputs, what it refuses, the answers of its functions. Pure."""
