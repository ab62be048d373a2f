// Package ext stands where Traefik leaves room for fields of others. There are none: its module is in no proxy.
package ext

// HTTP has nothing to add to what is known of HTTP.
type HTTP struct{}

// Router has nothing to add to a router.
type Router struct{}
