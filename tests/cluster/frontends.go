package cluster

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Where the ports of frontends lie in a block: fe/local's scheme.
const (
	feRPCOffset    = 100
	feRaftOffset   = 200
	feGossipOffset = 300
)

// AddFrontend lays out one more FE with an empty meta_dir and starts it. It waits to join: FrontendAddr is what ALTER
// SYSTEM ADD FOLLOWER wants.
func (c *Cluster) AddFrontend() (node string, err error) {
	n := c.opts.Nodes + c.opts.Frontends + 1
	if n > maxPerKind {
		return "", fmt.Errorf("add a frontend: there are %d already", n-1)
	}
	node = c.nodeName("fe", n)
	for _, folder := range []string{"log", "meta"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, node, folder), 0o750); err != nil {
			return "", fmt.Errorf("add a frontend: %w", err)
		}
	}
	text, err := os.ReadFile(c.confPath("fe", 1))
	if err != nil {
		return "", fmt.Errorf("add a frontend: %w", err)
	}
	if err := os.WriteFile(c.confPath("fe", n), text, 0o640); err != nil {
		return "", fmt.Errorf("add a frontend: %w", err)
	}
	items := map[string]string{"bootstrap": "false", "host": c.host(node)}
	for item, offset := range map[string]int{"query_port": 0, "http_port": httpOffset, "rpc_port": feRPCOffset,
		"edit_log_port": feRaftOffset, "gossip_port": feGossipOffset} {
		items[item] = strconv.Itoa(c.MySQLPort + offset + n - 1)
	}
	if c.net != nil {
		if err := c.net.plug(node); err != nil {
			return "", err
		}
	}
	var helpers []string
	for i := 1; i < n; i++ {
		helpers = append(helpers, fmt.Sprintf("%s:%d", c.host(c.nodeName("fe", i)), c.MySQLPort+feRPCOffset+i-1))
	}
	items["fe_helpers"] = strings.Join(helpers, ",")
	if err := c.SetItems(node, items); err != nil {
		return "", err
	}
	c.mu.Lock()
	c.opts.Frontends++
	c.mu.Unlock()
	c.foreign = append(c.foreign, node)
	return node, c.Spawn(node)
}

// FrontendAddr is the address under which the cluster knows an FE.
func (c *Cluster) FrontendAddr(node string) string {
	return fmt.Sprintf("%s:%d", c.host(node), c.MySQLPort+feRaftOffset+c.number(node)-1)
}

func (c *Cluster) number(node string) int {
	n, err := strconv.Atoi(strings.TrimLeft(node, "nodefb"))
	if err != nil {
		panic("BUG: " + node + " is not the name of a node")
	}
	return n
}

// Crash ends the process of a node this instant, where Kill starts a program for it; Kill clears up after it.
func (c *Cluster) Crash(node string) error { return c.signal(node, syscall.SIGKILL) }

// Pause stops the process of a node as if it hung; Resume lets it go on.
func (c *Cluster) Pause(node string) error { return c.signal(node, syscall.SIGSTOP) }

// Resume lets a paused node go on.
func (c *Cluster) Resume(node string) error { return c.signal(node, syscall.SIGCONT) }

func (c *Cluster) signal(node string, sig syscall.Signal) error {
	pid := c.Process(node)
	if pid == 0 {
		return fmt.Errorf("signal %s: it has no process", node)
	}
	return syscall.Kill(pid, sig)
}

// Runs reports whether a node has a process, by the lock of its pid file, which it holds for as long as it lives.
func (c *Cluster) Runs(node string) bool {
	f, err := os.Open(filepath.Join(c.Dir, node, "stele.pid"))
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// Process is the number of a node's process, 0 = it has none.
func (c *Cluster) Process(node string) int {
	text, err := os.ReadFile(filepath.Join(c.Dir, node, "stele.pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

// CPU returns for how long processors have worked for a node; only Linux tells.
func (c *Cluster) CPU(node string) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process(node)))
	if err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", node, err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var sum time.Duration
	for _, f := range fields[11:13] { // user and system, in ticks of 10 ms
		ticks, err := strconv.Atoi(f)
		if err != nil {
			return 0, fmt.Errorf("processor time of %s: %w", node, err)
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum, nil
}

// Leader names the leading FE, as the first FE that answers has it. Skip names nodes that are not asked.
func (c *Cluster) Leader(ctx context.Context, skip ...string) (node string, err error) {
	rows, err := c.Frontends(ctx, skip...)
	if err != nil {
		return "", err
	}
	for i, role := range rows.Column("Role") {
		if role == "LEADER" {
			port, err := strconv.Atoi(rows.Column("EditLogPort")[i])
			if err != nil {
				return "", err
			}
			return c.nodeName("fe", port-c.MySQLPort-feRaftOffset+1), nil
		}
	}
	return "", errors.New("no FE leads")
}

// Frontends is SHOW FRONTENDS of the first FE that answers.
func (c *Cluster) Frontends(ctx context.Context, skip ...string) (t Table, err error) {
	err = errors.New("no FE was asked")
next:
	for n := 1; n <= c.opts.Nodes+c.opts.Frontends; n++ {
		for _, s := range skip {
			if s == c.nodeName("fe", n) {
				continue next
			}
		}
		if t, err = c.frontends(ctx, c.FrontendDB(n)); err == nil {
			return t, nil
		}
	}
	return t, err
}

func (c *Cluster) frontends(ctx context.Context, db *sql.DB) (Table, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return ReadTable(ctx, db, "SHOW FRONTENDS")
}
