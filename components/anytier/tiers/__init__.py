"""One file per tier: a typed Pulumi component that makes a place. Only a tier's own file imports its SDK."""
