// flannel-cni is the network plugin `flannel`, written to its documented behaviour, for machines that cannot have the
// official one: it takes this node's subnet from the file that flanneld writes and leaves the rest to another plugin.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

type config struct {
	types.PluginConf
	SubnetFile string                 `json:"subnetFile"`
	DataDir    string                 `json:"dataDir"`
	Delegate   map[string]interface{} `json:"delegate"`
}

func main() {
	skel.PluginMainFuncs(skel.CNIFuncs{Add: add, Check: check, Del: del}, version.All, "flannel (anytier)")
}

func add(args *skel.CmdArgs) error {
	given, err := read(args.StdinData)
	if err != nil {
		return err
	}
	subnet, err := subnetOf(given.SubnetFile)
	if err != nil {
		return err
	}
	data, err := json.Marshal(delegate(given, subnet))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(given.DataDir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(kept(given, args), data, 0o600); err != nil {
		return err
	}
	result, err := invoke.DelegateAdd(context.TODO(), "bridge", data, nil)
	if err != nil {
		return err
	}
	return result.Print()
}

func check(args *skel.CmdArgs) error {
	given, err := read(args.StdinData)
	if err != nil {
		return err
	}
	_, err = os.Stat(kept(given, args))
	return err
}

// del uses what add has used: the subnet may be another one by now.
func del(args *skel.CmdArgs) error {
	given, err := read(args.StdinData)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(kept(given, args))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := invoke.DelegateDel(context.TODO(), "bridge", data, nil); err != nil {
		return err
	}
	return os.Remove(kept(given, args))
}

func read(data []byte) (*config, error) {
	given := &config{SubnetFile: "/run/flannel/subnet.env", DataDir: "/var/lib/cni/flannel"}
	if err := json.Unmarshal(data, given); err != nil {
		return nil, fmt.Errorf("flannel: its config is no JSON: %w", err)
	}
	if kind, there := given.Delegate["type"]; there && kind != "bridge" {
		return nil, fmt.Errorf("flannel: delegates to bridge only, not to %v", kind)
	}
	return given, nil
}

func kept(given *config, args *skel.CmdArgs) string {
	return filepath.Join(given.DataDir, args.ContainerID+"-"+args.IfName)
}

type subnet struct {
	network, node string
	mtu           int
	masquerades   bool
}

func subnetOf(path string) (*subnet, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("flannel: no subnet for this node yet: %w", err)
	}
	defer file.Close()
	found := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			found[key] = value
		}
	}
	mtu, err := strconv.Atoi(found["FLANNEL_MTU"])
	if err != nil || found["FLANNEL_SUBNET"] == "" {
		return nil, fmt.Errorf("flannel: %s is not complete", path)
	}
	return &subnet{found["FLANNEL_NETWORK"], found["FLANNEL_SUBNET"], mtu, found["FLANNEL_IPMASQ"] == "true"}, lines.Err()
}

func delegate(given *config, own *subnet) map[string]interface{} {
	made := map[string]interface{}{
		"type": "bridge", "isGateway": true, "mtu": own.mtu, "ipMasq": !own.masquerades,
	}
	for key, value := range given.Delegate {
		made[key] = value
	}
	made["name"], made["cniVersion"] = given.Name, given.CNIVersion
	ipam := map[string]interface{}{
		"type":   "host-local",
		"ranges": [][]map[string]string{{{"subnet": subnetOnly(own.node)}}},
	}
	if own.network != "" {
		ipam["routes"] = []map[string]string{{"dst": own.network}}
	}
	made["ipam"] = ipam
	return made
}

// subnetOnly: flanneld writes the bridge's address, 10.244.1.1/24, and host-local wants 10.244.1.0/24.
func subnetOnly(text string) string {
	if found, err := types.ParseCIDR(text); err == nil {
		found.IP = found.IP.Mask(found.Mask)
		return found.String()
	}
	return text
}
