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

// node is one frontend or backend of the layout, or a process ("node") that is one of each, its parts.
type node struct {
	kind   string // "fe", "be" or "node"
	number int
	dir    string
	parts  []*node // of a "node": its frontend and its backend, in the same folder
	of     *node   // what this is a part of, nil = it is a process of its own

	founder bool // it starts the cluster

	// Of frontends and backends.
	host  string
	ports []port
	disks int // backends only
}

func (n *node) name() string {
	if n.of != nil {
		return n.of.name()
	}
	return n.kind + strconv.Itoa(n.number)
}
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

// roles lists the frontend and the backend of a process, or the one of them that it is.
func (n *node) roles() []*node {
	if n.parts != nil {
		return n.parts
	}
	return []*node{n}
}

func (n *node) confPaths() (paths []string) {
	for _, r := range n.roles() {
		paths = append(paths, r.confPath())
	}
	return paths
}

// layout is the nodes of a folder, by number.
type layout struct {
	dir       string
	nodes     []*node
	frontends []*node // those of nodes, then the others
	backends  []*node // likewise
	fresh     []*node // those of which nothing is on disk yet
}

// groups lists the processes in the order in which they are stopped, so that no statement runs when the backends go.
func (l *layout) groups() [][]*node {
	ownProcess := func(list []*node) (own []*node) {
		for _, n := range list {
			if n.of == nil {
				own = append(own, n)
			}
		}
		return own
	}
	return [][]*node{ownProcess(l.frontends), l.nodes, ownProcess(l.backends)}
}

// all lists the processes in the order in which they are started.
func (l *layout) all() []*node { return slices.Concat(l.groups()...) }

// count returns how many processes of a kind there are.
func (l *layout) count(kind string) (count int) {
	for _, n := range l.all() {
		if n.kind == kind {
			count++
		}
	}
	return count
}

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

var nodeFolder = regexp.MustCompile(`^(fe|be|node)([1-9][0-9]?)$`)

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
		n := emptyNode(match[1], number, filepath.Join(abs, e.Name()))
		if _, err := os.Stat(n.roles()[0].confPath()); errors.Is(err, os.ErrNotExist) {
			continue // laid out again by completeLayout
		}
		for _, r := range n.roles() {
			if err := r.readConf(); err != nil {
				return nil, err
			}
		}
		l.add(n)
	}
	return l, nil
}

// emptyNode returns a node without addresses.
func emptyNode(kind string, number int, dir string) *node {
	n := &node{kind: kind, number: number, dir: dir}
	if kind == "node" {
		n.parts = []*node{{kind: "fe", number: number, dir: dir, of: n}, {kind: "be", number: number, dir: dir, of: n}}
	}
	return n
}

func (l *layout) add(n *node) {
	byPlace := func(a, b *node) int {
		switch {
		case a.of != nil && b.of == nil:
			return -1
		case a.of == nil && b.of != nil:
			return 1
		}
		return a.number - b.number
	}
	if n.parts != nil {
		l.nodes = append(l.nodes, n)
		slices.SortFunc(l.nodes, byPlace)
	}
	for _, r := range n.roles() {
		list := &l.frontends
		if r.kind == "be" {
			list = &l.backends
		}
		*list = append(*list, r)
		slices.SortFunc(*list, byPlace)
	}
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

// planLayout adds to what the folder holds the nodes that the options ask for, and refuses options that contradict it. It returns the options
// with what they left open, and writes nothing: a cluster whose ports are taken must leave none behind that has them for good.
func planLayout(opts Options) (*layout, Options, error) {
	l, err := readLayout(opts.Dir)
	if err != nil {
		return nil, opts, err
	}
	want, err := l.resolve(opts)
	if err != nil {
		return nil, opts, err
	}
	for _, k := range []struct {
		kind  string
		count int
	}{{"node", want.Nodes}, {"fe", want.Frontends}, {"be", want.Backends}} {
		for number := 1; number <= k.count; number++ {
			if _, err := l.find(k.kind + strconv.Itoa(number)); err == nil {
				continue
			}
			n := l.fit(k.kind, number, want)
			n.founder = k.kind != "be" && len(l.frontends) == 0
			l.add(n)
			l.fresh = append(l.fresh, n)
		}
	}
	return l, want, l.distinctPorts()
}

// layOut writes the folders and files of the nodes that are missing. It changes no existing file.
func (l *layout) layOut(want Options) error {
	for _, n := range l.fresh {
		for _, r := range slices.Backward(n.roles()) { // the file of the first says that the node is whole
			if err := r.writeConf(l, want); err != nil {
				return err
			}
		}
	}
	l.fresh = nil
	return nil
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
	for _, name := range []string{"fe1", "node1"} {
		first, err := l.find(name)
		if err != nil {
			continue
		}
		if fe := first.roles()[0]; mysqlPort == 0 || fe.port(conf.QueryPort.Key) < mysqlPort {
			mysqlPort, httpPort = fe.port(conf.QueryPort.Key), fe.port(conf.FEHTTPPort.Key)
		}
	}
	if len(l.backends) > 0 {
		disks = l.backends[0].disks
	}
	pick("nodes", &opts.Nodes, len(l.nodes), 0, true)
	frontends, backends := 1, 3
	if opts.Nodes > 0 {
		frontends, backends = 0, 0
	}
	pick("frontends", &opts.Frontends, l.count("fe"), frontends, true)
	pick("backends", &opts.Backends, l.count("be"), backends, true)
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
	least := 1
	if o.Nodes > 0 {
		least = 0
	}
	for _, c := range []struct {
		flag             string
		value, low, high int
	}{
		{"nodes", o.Nodes, 0, maxNodes}, {"frontends", o.Frontends, least, maxNodes - o.Nodes}, {"backends", o.Backends, least, maxNodes - o.Nodes},
		{"disks", o.Disks, 1, 16},
		{"mysql-port", o.MySQLPort, 1, 65535 - beGossipOffset - maxNodes}, {"http-port", o.HTTPPort, 1, 65535 - maxNodes},
	} {
		if c.value < c.low || c.value > c.high {
			return fmt.Errorf("--%s %d must be %d to %d", c.flag, c.value, c.low, c.high)
		}
	}
	return nil
}

// fit returns a new node. Beside nodes of both roles it may have other ports than its number says.
func (l *layout) fit(kind string, number int, opts Options) *node {
	first := newNode(l.dir, kind, number, opts)
	if opts.Nodes == 0 {
		return first
	}
	taken := map[string]bool{}
	for _, n := range l.all() {
		for _, s := range n.sockets() {
			taken[s.addr] = true
		}
	}
	for n, place := first, number; place <= maxNodes; place++ {
		n.takePorts(place, opts)
		if !slices.ContainsFunc(n.sockets(), func(s socket) bool { return taken[s.addr] }) {
			return n
		}
	}
	return newNode(l.dir, kind, number, opts)
}

func newNode(dir, kind string, number int, opts Options) *node {
	n := emptyNode(kind, number, filepath.Join(dir, kind+strconv.Itoa(number)))
	n.takePorts(number, opts)
	return n
}

// takePorts gives a node the ports of a place in each block.
func (n *node) takePorts(place int, opts Options) {
	base := opts.MySQLPort + place - 1
	for _, r := range n.roles() {
		r.host = "127.0.0.1"
		if r.kind == "fe" {
			r.ports = []port{
				{conf.QueryPort.Key, base, false}, {conf.FEHTTPPort.Key, opts.HTTPPort + place - 1, false},
				{conf.FERPCPort.Key, base + feRPCOffset, false}, {conf.EditLogPort.Key, base + feRaftOffset, false},
				{conf.FEGossipPort.Key, base + feGossipOffset, true},
			}
			continue
		}
		r.disks = opts.Disks
		r.ports = []port{
			{conf.BERPCPort.Key, base + beRPCOffset, false}, {conf.BEHTTPPort.Key, base + beHTTPOffset, false},
			{conf.BEGossipPort.Key, base + beGossipOffset, true},
		}
	}
}

// socket is one address that a process listens on.
type socket struct {
	what string // the node and the configuration item
	addr string
	udp  bool // also by UDP
}

func (n *node) sockets() (all []socket) {
	for _, r := range n.roles() {
		for _, p := range r.ports {
			what := n.name() + " " + p.key
			if n.parts != nil {
				what = n.name() + " " + r.kind + " " + p.key
			}
			all = append(all, socket{what, r.addr(p.key), p.udp})
		}
	}
	return all
}

// distinctPorts refuses a layout in which two nodes would listen on the same port.
func (l *layout) distinctPorts() error {
	owner := map[string]string{}
	for _, n := range l.all() {
		for _, s := range n.sockets() {
			if first, taken := owner[s.addr]; taken {
				return fmt.Errorf("%s and %s would both listen on %s: choose --http-port outside %s, or another --mysql-port",
					first, s.what, s.addr, "the 700 ports from --mysql-port on")
			}
			owner[s.addr] = s.what
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
		fmt.Fprintf(&b, "meta_dir = meta\nbootstrap = %t\n", n.founder || n.of != nil && n.of.founder)
		if helpers := l.frontendAddresses(n, conf.FERPCPort.Key); helpers != "" {
			fmt.Fprintf(&b, "%s = %s\n", conf.FEHelpers.Key, helpers)
		}
		if backends := opts.Backends + opts.Nodes; backends < conf.DefaultReplicationNum.Get(conf.FE.Defaults(n.dir)) {
			fmt.Fprintf(&b, "%s = %d\n", conf.DefaultReplicationNum.Key, backends)
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
