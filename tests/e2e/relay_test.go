package e2e

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"stele/tests/cluster"
)

// relays stand between the BEs of a cluster: under another address of this machine they pass on what comes for each BE, and
// count what it sends. What they count has been on the wire, whatever anybody reports.
type relays struct {
	sent  map[string]*atomic.Int64 // by node
	mu    sync.Mutex
	open  map[io.Closer]bool
	over  bool
	group sync.WaitGroup
}

// relayHost is where the relays listen: the loopback has more than one address.
const relayHost = "127.0.0.2"

func startRelays(t *testing.T, c *cluster.Cluster, nodes ...string) *relays {
	t.Helper()
	r := &relays{sent: map[string]*atomic.Int64{}, open: map[io.Closer]bool{}}
	for _, node := range nodes {
		_, port, err := net.SplitHostPort(c.BackendAddr(node))
		must(t, err)
		l, err := net.Listen("tcp", net.JoinHostPort(relayHost, port))
		must(t, err)
		r.keep(l)
		count := &atomic.Int64{}
		r.sent[node] = count
		target := c.BackendAddr(node)
		r.group.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				r.group.Go(func() { r.pass(conn, target, count) })
			}
		})
	}
	return r
}

// keep has close end a listener or connection; false when that has happened already.
func (r *relays) keep(c io.Closer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		_ = c.Close()
		return false
	}
	r.open[c] = true
	return true
}

func (r *relays) drop(c io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
	_ = c.Close()
}

// pass moves bytes both ways until either end has had enough.
func (r *relays) pass(from net.Conn, target string, sent *atomic.Int64) {
	if !r.keep(from) {
		return
	}
	defer r.drop(from)
	to, err := net.Dial("tcp", target)
	if err != nil || !r.keep(to) {
		return
	}
	defer r.drop(to)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(io.MultiWriter(from, counter{sent}), to)
		_ = from.Close()
	})
	_, _ = io.Copy(to, from)
	_ = to.Close()
	back.Wait()
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// total is what all BEs have sent.
func (r *relays) total() (all, most int64) {
	for _, n := range r.sent {
		all += n.Load()
		most = max(most, n.Load())
	}
	return all, most
}

func (r *relays) close() {
	r.mu.Lock()
	r.over = true
	for c := range r.open {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.group.Wait()
}

// relayed has the nodes of the cluster reach the BEs through relays until the func that is returned is called.
func (w *repairs) relayed() (r *relays, back func()) {
	w.Helper()
	r = startRelays(w.T, w.c, "be1", "be2", "be3", "be4")
	move := func(from, to string) {
		w.exec(fmt.Sprintf(`ALTER SYSTEM MODIFY BACKEND HOST "%s" TO "%s"`, from, to))
		w.until("all backends alive at "+to, "SHOW BACKENDS", func(t cluster.Table) bool {
			alive := 0
			for i, ok := range t.Column("Alive") {
				if ok == strconv.FormatBool(true) && t.Column("IP")[i] == to {
					alive++
				}
			}
			return alive == 4
		})
	}
	move("127.0.0.1", relayHost)
	return r, func() {
		move(relayHost, "127.0.0.1")
		r.close()
	}
}
