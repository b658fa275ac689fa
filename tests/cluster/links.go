package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// networkHost is the address of a node of a cluster with a network.
func networkHost(node string) string {
	n, err := strconv.Atoi(strings.TrimLeft(node, "feb"))
	if err != nil {
		panic("BUG: " + node + " is not the name of a node")
	}
	if node[:2] == "be" {
		n += 100
	}
	return fmt.Sprintf("10.199.0.%d", n)
}

// host is the address of a node.
func (c *Cluster) host(node string) string {
	if c.net == nil {
		return "127.0.0.1"
	}
	return networkHost(node)
}

// Cut loses every packet between two nodes, in both directions, until Mend. The cluster needs Options.Network.
func (c *Cluster) Cut(a, b string) error {
	if err := c.CutOneWay(a, b); err != nil {
		return err
	}
	return c.CutOneWay(b, a)
}

// CutOneWay loses the packets from one node to another: what the other sends still arrives.
func (c *Cluster) CutOneWay(from, to string) error { return c.net.lose(from, to) }

// Isolate cuts a node from some others.
func (c *Cluster) Isolate(node string, from ...string) error {
	for _, other := range from {
		if other == node {
			continue
		}
		if err := c.Cut(node, other); err != nil {
			return err
		}
	}
	return nil
}

// Mend ends every cut.
func (c *Cluster) Mend() error { return c.net.mend() }

// layNetwork gives the nodes addresses of their own and starts them there. The supervisor adopts them.
func (c *Cluster) layNetwork() error {
	var err error
	if c.net, err = newNetwork(); err != nil {
		return err
	}
	for _, node := range c.Nodes() {
		if err := c.net.plug(node); err != nil {
			return err
		}
		if err := c.relocate(node); err != nil {
			return err
		}
	}
	return nil
}

var loopback = regexp.MustCompile(`127\.0\.0\.1(:(\d+))?`)

// relocate replaces the addresses in a configuration file by those of the network. A port tells whose address it is.
func (c *Cluster) relocate(node string) error {
	path := c.confPath(node[:2], c.number(node))
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("addresses of %s: %w", node, err)
	}
	changed := loopback.ReplaceAllStringFunc(string(text), func(addr string) string {
		_, port, found := strings.Cut(addr, ":")
		if !found {
			return networkHost(node)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			panic("BUG: port " + port)
		}
		kind := "fe"
		if n-c.MySQLPort >= rpcOffset && n < c.HTTPPort {
			kind = "be"
		}
		return networkHost(kind+strconv.Itoa((n-c.MySQLPort)%100+1)) + ":" + port
	})
	if err := os.WriteFile(path, []byte(changed), 0o640); err != nil {
		return fmt.Errorf("addresses of %s: %w", node, err)
	}
	return nil
}

// command is `stele local VERB NODE` where the node lives.
func (c *Cluster) command(verb, node string, flags ...string) *exec.Cmd {
	args := append([]string{c.binary, "local", verb, node, "--dir", c.Dir}, flags...)
	if c.net != nil {
		args = c.net.inside(node, args...)
	}
	return exec.Command(args[0], args[1:]...)
}
