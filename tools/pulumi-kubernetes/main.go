// The engine's Kubernetes plugin, as its own repository builds it. Its schema and its mapping lie in the Go module;
// set-up puts them beside this file for the build (tools/bootstrap/plugin.py).
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

//go:embed schema.json
var schema []byte

//go:embed terraform-mapping.json
var mapping []byte

func main() { provider.Serve("kubernetes", "4.25.0", schema, mapping) }
