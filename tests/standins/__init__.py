"""Stand-ins for the provider plugins of aws, gcp and azure-native: README.md says what they can and cannot tell."""
