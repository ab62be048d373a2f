"""The benchmarks, one file each. A case measures and yields rows; it neither prints nor writes a result."""
