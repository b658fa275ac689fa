package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"stele/conf"
)

// maxNodes bounds the nodes of one kind: the port scheme gives each kind of port a block of a hundred.
const maxNodes = 99

// Each kind of port has a block of its own above the MySQL port of fe1; node n takes the n-th port of a block. The HTTP
// ports of frontends count from --http-port instead. With --mysql-port 9030, be2 has rpc 9431, http 9531, gossip 9631.
const (
	feRPCOffset    = 100
	feRaftOffset   = 200
	feGossipOffset = 300
	beRPCOffset    = 400
	beHTTPOffset   = 500
	beGossipOffset = 600
)

// port is one address that a node listens on.
type port struct {
	key    string // the configuration item that names it
	number int
	udp    bool // also by UDP
}

// node is one frontend or backend of the layout.
type node struct {
	kind   string // "fe" or "be"
	number int
	dir    string
	host   string
	ports  []port
	disks  int // backends only
}

func (n *node) name() string     { return n.kind + strconv.Itoa(n.number) }
func (n *node) confPath() string { return filepath.Join(n.dir, n.kind+".conf") }
func (n *node) pidPath() string  { return filepath.Join(n.dir, "stele.pid") }
func (n *node) logPath() string  { return filepath.Join(n.dir, "log", "out.log") }

// port returns the number behind a configuration item.
func (n *node) port(key string) int {
	for _, p := range n.ports {
		if p.key == key {
			return p.number
		}
	}
	panic(fmt.Sprintf("BUG: %s has no port %q", n.kind, key))
}

func (n *node) addr(key string) string { return n.host + ":" + strconv.Itoa(n.port(key)) }

// layout is the nodes of a folder, by number.
type layout struct {
	dir       string
	frontends []*node
	backends  []*node
}

// all lists frontends before backends: the order in which nodes are started, and in which they are stopped so that no
// statement runs when the backends go.
func (l *layout) all() []*node { return slices.Concat(l.frontends, l.backends) }

func (l *layout) find(name string) (*node, error) {
	var names []string
	for _, n := range l.all() {
		if n.name() == name {
			return n, nil
		}
		names = append(names, n.name())
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s holds no cluster: start one with `stele local --dir %s`", l.dir, l.dir)
	}
	return nil, fmt.Errorf("%s has no node %q, only %s", l.dir, name, strings.Join(names, ", "))
}

var nodeFolder = regexp.MustCompile(`^(fe|be)([1-9][0-9]?)$`)

// readLayout finds the nodes that a folder holds and reads their configuration files. A folder that does not exist
// holds none.
func readLayout(dir string) (*layout, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, err)
	}
	l := &layout{dir: abs}
	entries, err := os.ReadDir(abs)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read cluster folder: %w", err)
	}
	for _, e := range entries {
		match := nodeFolder.FindStringSubmatch(e.Name())
		if match == nil || !e.IsDir() {
			continue
		}
		number, _ := strconv.Atoi(match[2])
		n := &node{kind: match[1], number: number, dir: filepath.Join(abs, e.Name())}
		if _, err := os.Stat(n.confPath()); errors.Is(err, os.ErrNotExist) {
			continue // laid out again by completeLayout
		}
		if err := n.readConf(); err != nil {
			return nil, err
		}
		l.add(n)
	}
	return l, nil
}

func (l *layout) add(n *node) {
	list := &l.frontends
	if n.kind == "be" {
		list = &l.backends
	}
	*list = append(*list, n)
	slices.SortFunc(*list, func(a, b *node) int { return a.number - b.number })
}

// readConf takes the addresses of the node from its configuration file.
func (n *node) readConf() error {
	if n.kind == "fe" {
		v, err := conf.FE.Load(n.confPath())
		if err != nil {
			return err
		}
		n.host = conf.FEHost.Get(v)
		n.ports = []port{
			{conf.QueryPort.Key, conf.QueryPort.Get(v), false}, {conf.FEHTTPPort.Key, conf.FEHTTPPort.Get(v), false},
			{conf.FERPCPort.Key, conf.FERPCPort.Get(v), false}, {conf.EditLogPort.Key, conf.EditLogPort.Get(v), false},
			{conf.FEGossipPort.Key, conf.FEGossipPort.Get(v), true},
		}
		return nil
	}
	v, err := conf.BE.Load(n.confPath())
	if err != nil {
		return err
	}
	n.host = conf.BEHost.Get(v)
	n.disks = len(conf.StorageRootPath.Get(v))
	n.ports = []port{
		{conf.BERPCPort.Key, conf.BERPCPort.Get(v), false}, {conf.BEHTTPPort.Key, conf.BEHTTPPort.Get(v), false},
		{conf.BEGossipPort.Key, conf.BEGossipPort.Get(v), true},
	}
	return nil
}

// completeLayout makes the folder hold what the options ask for: it refuses options that contradict existing nodes,
// and lays out the nodes that are missing. It changes no existing file.
func completeLayout(opts Options) (*layout, error) {
	l, err := readLayout(opts.Dir)
	if err != nil {
		return nil, err
	}
	want, err := l.resolve(opts)
	if err != nil {
		return nil, err
	}
	var fresh []*node
	for _, kind := range []string{"fe", "be"} {
		count := want.Frontends
		if kind == "be" {
			count = want.Backends
		}
		for number := 1; number <= count; number++ {
			n := newNode(l.dir, kind, number, want)
			if _, err := l.find(n.name()); err == nil {
				continue
			}
			l.add(n)
			fresh = append(fresh, n)
		}
	}
	if err := l.distinctPorts(); err != nil {
		return nil, err
	}
	for _, n := range fresh {
		if err := n.writeConf(l, want); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// resolve fills what the options leave open from the existing nodes or the defaults, and names every contradiction.
func (l *layout) resolve(opts Options) (Options, error) {
	var clashes []string
	pick := func(flag string, asked *int, existing, fallback int, mayGrow bool) {
		switch {
		case *asked == 0 && existing > 0:
			*asked = existing
		case *asked == 0:
			*asked = fallback
		case existing > 0 && *asked != existing && (!mayGrow || *asked < existing):
			clashes = append(clashes, fmt.Sprintf("--%s %d, but it is %d there", flag, *asked, existing))
		}
	}
	mysqlPort, httpPort, disks := 0, 0, 0
	if fe1, err := l.find("fe1"); err == nil {
		mysqlPort, httpPort = fe1.port(conf.QueryPort.Key), fe1.port(conf.FEHTTPPort.Key)
	}
	if len(l.backends) > 0 {
		disks = l.backends[0].disks
	}
	pick("frontends", &opts.Frontends, len(l.frontends), 1, true)
	pick("backends", &opts.Backends, len(l.backends), 3, true)
	pick("disks", &opts.Disks, disks, 1, false)
	pick("mysql-port", &opts.MySQLPort, mysqlPort, 9030, false)
	pick("http-port", &opts.HTTPPort, httpPort, 8030, false)
	if clashes != nil {
		return opts, fmt.Errorf("%s holds another cluster than the flags ask for: %s; leave the flags out to run that one, "+
			"or choose another --dir", l.dir, strings.Join(clashes, "; "))
	}
	return opts, opts.checkBounds()
}

func (o Options) checkBounds() error {
	for _, c := range []struct {
		flag             string
		value, low, high int
	}{
		{"frontends", o.Frontends, 1, maxNodes}, {"backends", o.Backends, 1, maxNodes}, {"disks", o.Disks, 1, 16},
		{"mysql-port", o.MySQLPort, 1, 65535 - beGossipOffset - maxNodes}, {"http-port", o.HTTPPort, 1, 65535 - maxNodes},
	} {
		if c.value < c.low || c.value > c.high {
			return fmt.Errorf("--%s %d must be %d to %d", c.flag, c.value, c.low, c.high)
		}
	}
	return nil
}

func newNode(dir, kind string, number int, opts Options) *node {
	n := &node{kind: kind, number: number, host: "127.0.0.1"}
	n.dir = filepath.Join(dir, n.name())
	base := opts.MySQLPort + number - 1
	if kind == "fe" {
		n.ports = []port{
			{conf.QueryPort.Key, base, false}, {conf.FEHTTPPort.Key, opts.HTTPPort + number - 1, false},
			{conf.FERPCPort.Key, base + feRPCOffset, false}, {conf.EditLogPort.Key, base + feRaftOffset, false},
			{conf.FEGossipPort.Key, base + feGossipOffset, true},
		}
		return n
	}
	n.disks = opts.Disks
	n.ports = []port{
		{conf.BERPCPort.Key, base + beRPCOffset, false}, {conf.BEHTTPPort.Key, base + beHTTPOffset, false},
		{conf.BEGossipPort.Key, base + beGossipOffset, true},
	}
	return n
}

// distinctPorts refuses a layout in which two nodes would listen on the same port.
func (l *layout) distinctPorts() error {
	owner := map[string]string{}
	for _, n := range l.all() {
		for _, p := range n.ports {
			what, addr := n.name()+" "+p.key, n.addr(p.key)
			if first, taken := owner[addr]; taken {
				return fmt.Errorf("%s and %s would both listen on %s: choose --http-port outside %s, or another --mysql-port",
					first, what, addr, "the 700 ports from --mysql-port on")
			}
			owner[addr] = what
		}
	}
	return nil
}

// writeConf lays the node's folder out. The configuration file comes last and by rename: a node that has it is whole.
func (n *node) writeConf(l *layout, opts Options) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s of a cluster that `stele local` runs. It is written once: edit it as you like.\n", n.name())
	fmt.Fprintf(&b, "# Every item is described in conf/CONFIG.md of the source.\nhost = %s\n", n.host)
	for _, p := range n.ports {
		fmt.Fprintf(&b, "%s = %d\n", p.key, p.number)
	}
	if seeds := l.frontendAddresses(n, conf.FEGossipPort.Key); seeds != "" {
		fmt.Fprintf(&b, "seeds = %s\n", seeds)
	}
	b.WriteString("log_dir = log\n")
	folders := []string{"log"}
	if n.kind == "fe" {
		folders = append(folders, "meta")
		fmt.Fprintf(&b, "meta_dir = meta\nbootstrap = %t\n", n.number == 1)
		if helpers := l.frontendAddresses(n, conf.FERPCPort.Key); helpers != "" {
			fmt.Fprintf(&b, "%s = %s\n", conf.FEHelpers.Key, helpers)
		}
		if opts.Backends < conf.DefaultReplicationNum.Get(conf.FE.Defaults(n.dir)) {
			fmt.Fprintf(&b, "%s = %d\n", conf.DefaultReplicationNum.Key, opts.Backends)
		}
	} else {
		var disks []string
		for d := 1; d <= n.disks; d++ {
			disks = append(disks, "storage"+strconv.Itoa(d))
		}
		folders = append(folders, disks...)
		fmt.Fprintf(&b, "storage_root_path = %s\n", strings.Join(disks, ";"))
	}
	for _, folder := range folders {
		if err := os.MkdirAll(filepath.Join(n.dir, folder), 0o750); err != nil {
			return fmt.Errorf("lay out %s: %w", n.name(), err)
		}
	}
	draft := n.confPath() + ".new"
	if err := os.WriteFile(draft, []byte(b.String()), 0o640); err != nil {
		return fmt.Errorf("lay out %s: %w", n.name(), err)
	}
	if err := os.Rename(draft, n.confPath()); err != nil {
		return fmt.Errorf("lay out %s: %w", n.name(), err)
	}
	return n.readConf()
}

// frontendAddresses lists the addresses of all frontends but n itself, with the port of that configuration item.
func (l *layout) frontendAddresses(n *node, port string) string {
	var addresses []string
	for _, fe := range l.frontends {
		if fe != n {
			addresses = append(addresses, fe.addr(port))
		}
	}
	return strings.Join(addresses, ",")
}
