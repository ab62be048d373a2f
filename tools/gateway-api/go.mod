module anytier.dev/tools/gateway-api

go 1.26.0

// Of these only the definitions of Kubernetes objects are taken, as files: nothing is compiled.
require (
	github.com/GoogleCloudPlatform/gke-gateway-api v1.3.0
	sigs.k8s.io/gateway-api v1.6.1
)
