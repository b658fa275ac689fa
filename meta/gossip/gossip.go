// Package gossip tells every node which nodes there are, what they say of themselves, and that one of them seems to
// have died, by hashicorp/memberlist.
//
// It is for discovery, a coarse view of the load, and hints. It decides nothing: authority over who is alive lies with
// the leading FE's leases. Nodes of another cluster are kept out by a label with the cluster id; the label guards
// against mistakes, the optional key against attackers.
package gossip

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"stele/meta/types"
)

// format is the version of what nodes say to one another; nodes of different formats do not mix.
const format = "1"

// metaInterval is how often at most a node says something new of itself.
const metaInterval = time.Second

// Profile is how eagerly nodes probe one another.
type Profile uint8

// Profiles. Tuned sees a death in about 2.7 s and none that did not happen on a starved machine; Fast in 0.7 s, for
// tests.
const (
	Tuned Profile = iota
	Fast
)

// ParseKeys reads keys as the configuration has them, in base64.
func ParseKeys(texts []string) ([][]byte, error) {
	var keys [][]byte
	for i, text := range texts {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("gossip key %d: %w", i+1, err)
		}
		if err := memberlist.ValidateKey(key); err != nil {
			return nil, fmt.Errorf("gossip key %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Config says how to take part.
type Config struct {
	Cluster   types.ClusterID
	Name      string // unique in the cluster, stable over restarts
	BindHost  string
	BindPort  int    // 0 = any free one
	Advertise string // host that others reach this node at, "" = BindHost
	// Keys encrypt what is said, each 16, 24 or 32 bytes of AES-GCM; none = clear text. The first encrypts, all decrypt,
	// so that a key can be replaced node by node.
	Keys    [][]byte
	Profile Profile
	Meta    Meta
	// Refused, if set, is told of a node of another cluster that wanted to gossip ("" = it has no label).
	Refused func(address string, cluster types.ClusterID)
	// Unreadable, if set, is told of a node whose gossip this one cannot decrypt, or that does not encrypt it.
	Unreadable func(address, why string)
	Log        *slog.Logger // nil = slog.Default
}

// Gossip is this node's part in the membership.
type Gossip struct {
	list   *memberlist.Memberlist
	events *events
	log    *slog.Logger
	stop   chan struct{}
	wg     sync.WaitGroup

	closeMu sync.Mutex // guards closed; the library panics when it leaves after its shutdown
	closed  bool

	dirty   chan struct{}
	mu      sync.Mutex
	encoded []byte // Meta
}

// New starts listening. The node is alone until Join.
func New(cfg Config) (*Gossip, error) {
	if cfg.Cluster == "" || cfg.Name == "" {
		return nil, fmt.Errorf("start gossip: a cluster id and a name are needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	encoded, err := encodeMeta(cfg.Meta)
	if err != nil {
		return nil, err
	}
	g := &Gossip{
		events: newEvents(cfg.Name, cfg.Log), log: cfg.Log, stop: make(chan struct{}),
		dirty: make(chan struct{}, 1), encoded: encoded,
	}
	list := g.listConfig(&cfg)
	if len(cfg.Keys) > 0 {
		if list.Keyring, err = memberlist.NewKeyring(cfg.Keys, cfg.Keys[0]); err != nil {
			return nil, fmt.Errorf("gossip keys: %w", err)
		}
	}
	if g.list, err = memberlist.Create(list); err != nil {
		return nil, fmt.Errorf("start gossip on %s:%d: %w", cfg.BindHost, cfg.BindPort, err)
	}
	g.wg.Add(2)
	go func() { defer g.wg.Done(); g.events.run(g.stop) }()
	go func() { defer g.wg.Done(); g.publish() }()
	return g, nil
}

func (g *Gossip) listConfig(cfg *Config) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label = cfg.Name, "stele/"+format+"/"+string(cfg.Cluster)
	c.BindAddr, c.BindPort = cfg.BindHost, cfg.BindPort
	c.AdvertiseAddr, c.AdvertisePort = cfg.Advertise, cfg.BindPort
	c.Delegate, c.Events = g, g.events
	c.Logger = log.New(logWriter{cfg.Log, cfg.Refused, cfg.Unreadable}, "", 0)
	c.TCPTimeout = time.Second
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = 3, 3
	c.ProbeInterval, c.ProbeTimeout = 500*time.Millisecond, 200*time.Millisecond
	c.GossipInterval = 100 * time.Millisecond
	// A node that died and came back at another address with its name is the same node: its disks say so.
	c.DeadNodeReclaimTime = 5 * time.Second
	if cfg.Profile == Fast {
		c.SuspicionMult, c.SuspicionMaxTimeoutMult, c.AwarenessMaxMultiplier = 2, 2, 2
		c.ProbeInterval, c.ProbeTimeout = 200*time.Millisecond, 80*time.Millisecond
		c.GossipInterval = 50 * time.Millisecond
	}
	return c
}

// Join contacts nodes ("host:port") and learns of the others from them. It is an error if none could be reached; call
// it again then, and now and then anyway: it also heals a split that lasted longer than the dead are remembered.
func (g *Gossip) Join(addrs ...string) error {
	if len(addrs) == 0 {
		return nil
	}
	n, err := g.list.Join(addrs)
	if n == 0 {
		return fmt.Errorf("join gossip: %w", err)
	}
	return nil
}

// Addr returns the address that others reach this node at.
func (g *Gossip) Addr() string { return g.list.LocalNode().Address() }

// Events returns the changes of the membership, this node's own left out. The channel is closed by Close.
func (g *Gossip) Events() <-chan Event { return g.events.out }

// Members returns the nodes that are not known to be dead, this one included, by name.
func (g *Gossip) Members() []Member { return g.events.list() }

// SetMeta changes what this node says of itself. Others learn of it within seconds; changes that follow closely travel
// as one.
func (g *Gossip) SetMeta(m Meta) error {
	encoded, err := encodeMeta(m)
	if err != nil {
		return err
	}
	g.mu.Lock()
	same := bytes.Equal(g.encoded, encoded)
	g.encoded = encoded
	g.mu.Unlock()
	if !same {
		select {
		case g.dirty <- struct{}{}:
		default:
		}
	}
	return nil
}

// publish spreads changes of Meta, one an interval.
func (g *Gossip) publish() {
	for {
		select {
		case <-g.dirty:
		case <-g.stop:
			return
		}
		if err := g.list.UpdateNode(metaInterval); err != nil {
			g.log.Warn("spread node meta", "err", err)
		}
		select {
		case <-time.After(metaInterval):
		case <-g.stop:
			return
		}
	}
}

// Leave tells the others that this node goes, so that they need not find out. Close follows.
func (g *Gossip) Leave(ctx context.Context) error {
	g.closeMu.Lock()
	defer g.closeMu.Unlock()
	if g.closed {
		return errors.New("leave gossip: it is closed")
	}
	timeout := 5 * time.Second
	if d, ok := ctx.Deadline(); ok {
		timeout = time.Until(d)
	}
	if err := g.sayLeaving(timeout / 2); err != nil {
		g.log.Warn("say that this node leaves", "err", err)
	}
	if err := g.list.Leave(timeout / 2); err != nil {
		return fmt.Errorf("leave gossip: %w", err)
	}
	return nil
}

func (g *Gossip) sayLeaving(timeout time.Duration) error {
	g.mu.Lock()
	m, err := decodeMeta(g.encoded)
	if err == nil {
		m.Leaving = true
		g.encoded, err = encodeMeta(m)
	}
	g.mu.Unlock()
	if err != nil {
		return err
	}
	return g.list.UpdateNode(timeout)
}

// leaveTime bounds how long Depart waits for the others to hear of it.
const leaveTime = 500 * time.Millisecond

// Depart tells the others, as far as they can be reached in short time, and stops taking part.
func (g *Gossip) Depart() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	if err := g.Leave(ctx); err != nil {
		g.log.Debug("leave gossip", "err", err)
	}
	return g.Close()
}

// Close stops taking part, without a word unless Leave came first.
func (g *Gossip) Close() error {
	g.closeMu.Lock()
	defer g.closeMu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	close(g.stop)
	g.wg.Wait()
	return g.list.Shutdown()
}

// NodeMeta is called by memberlist.
func (g *Gossip) NodeMeta(limit int) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.encoded[:min(len(g.encoded), limit)]
}

// NotifyMsg is called by memberlist; there are no user messages.
func (g *Gossip) NotifyMsg([]byte) {}

// GetBroadcasts is called by memberlist; there are no user messages.
func (g *Gossip) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState is called by memberlist; membership is all that is exchanged.
func (g *Gossip) LocalState(bool) []byte { return nil }

// MergeRemoteState is called by memberlist.
func (g *Gossip) MergeRemoteState([]byte, bool) {}

// logWriter turns memberlist's "[LEVEL] memberlist: text" lines into records.
type logWriter struct {
	l       *slog.Logger
	refused func(address string, cluster types.ClusterID)
	garbled func(address, why string)
}

func (w logWriter) Write(b []byte) (int, error) {
	line := strings.TrimSpace(string(b))
	level := slog.LevelInfo
	for name, l := range map[string]slog.Level{"[DEBUG] ": slog.LevelDebug, "[INFO] ": slog.LevelInfo, "[WARN] ": slog.LevelWarn, "[ERR] ": slog.LevelError} {
		if rest, ok := strings.CutPrefix(line, name); ok {
			line, level = rest, l
			break
		}
	}
	line = strings.TrimPrefix(line, "memberlist: ")
	if silent.MatchString(line) {
		return len(b), nil
	}
	if address, cluster, ok := foreign(line); ok && w.refused != nil {
		w.refused(address, cluster) // it comes with every packet: who is told says it now and then
		return len(b), nil
	}
	if m := unreadable.FindStringSubmatch(line); m != nil && w.garbled != nil {
		w.garbled(sender(m[1] == "failed to receive", m[3]), m[2])
		return len(b), nil
	}
	w.l.Log(context.Background(), level, line, "component", "gossip")
	return len(b), nil
}

// refusal is how memberlist says, in its log only, that a packet or connection has another label than this cluster's.
var refusal = regexp.MustCompile(`^discarding (packet|stream) with unacceptable label ("(?:[^"\\]|\\.)*"): from=(\S+)$`)

// silent is how memberlist says that a connection ended before a word was said, as one of a peer that was killed does, or the probe of a port. It
// has no label, but nobody wanted to gossip.
var silent = regexp.MustCompile(`^discarding stream with unacceptable label "": `)

// unreadable is how memberlist says, in its log only, that keys differ.
var unreadable = regexp.MustCompile(`(?i)^(decrypt packet failed|failed to receive): (.*crypt.*?):? from=(\S+)$`)

// foreign reads a refusal: where it came from and of which cluster.
func foreign(line string) (address string, cluster types.ClusterID, ok bool) {
	m := refusal.FindStringSubmatch(strings.TrimSpace(line))
	if m == nil {
		return "", "", false
	}
	label, err := strconv.Unquote(m[2])
	if err != nil {
		return "", "", false
	}
	parts := strings.SplitN(label, "/", 3) // stele/format/cluster
	return sender(m[1] == "stream", m[3]), types.ClusterID(parts[len(parts)-1]), true
}

// sender is where a packet came from; the port of a connection is another one each time and says nothing.
func sender(stream bool, address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil && stream {
		return host
	}
	return address
}
