//go:build chaos

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"stele/tests/cluster"
)

// settle is how long after the end of a fault its effect on writes is still measured.
const settle = 3 * time.Second

// fault is one kind of trouble. It returns the moment until which writes cannot be expected to work whatever Stele does
// (zero = they can all the time), and when it returns every process runs again.
type fault struct {
	name string
	// destroys says that a replica's data is lost: only for a cluster in which all others have everything.
	destroys bool
	limit    time.Duration // of the gap in writes; 0 = only reported
	run      func(n *nemesis) (what string, blind time.Time)
}

// faults in the order of a round; a round is shuffled.
var faults = []fault{
	{"kill", false, 3 * time.Second, (*nemesis).kill},
	{"blink", false, 5 * time.Second, (*nemesis).blink},
	{"kill2", false, 0, (*nemesis).killTwo},
	{"pause", false, 6 * time.Second, (*nemesis).pauseOne},
	{"hiccup", false, 5 * time.Second, (*nemesis).hiccup},
	{"wipe", true, 5 * time.Second, (*nemesis).wipe},
	{"fe", false, 0, (*nemesis).frontend},
	{"fehang", false, 0, (*nemesis).frontendHangs},
	{"fecut", false, 0, (*nemesis).cutFrontend},
	{"felead", false, 0, (*nemesis).handOver},
	{"fejoin", false, 0, (*nemesis).rejoin},
	{"becut", false, 0, (*nemesis).cutBackend},
	{"ops", false, 0, (*nemesis).operate},
	{"disk", true, 0, (*nemesis).disableDisk},
	{"leaders", false, 5 * time.Second, (*nemesis).leaders},
	{"add", false, 5 * time.Second, (*nemesis).add},
	{"flip", true, 5 * time.Second, (*nemesis).flip},
	{"storm", false, 0, (*nemesis).storm},
	{"power", false, 0, (*nemesis).power},
}

// nemesis runs one fault after the other.
type nemesis struct {
	ch     *chaos
	probes *probes
	tables []string
	rnd    *rand.Rand
	events []string
	added  bool   // a BE
	extra  string // an FE beyond those at the start, "" = none yet
}

func newNemesis(ch *chaos, p *probes, tables []string) *nemesis {
	return &nemesis{ch: ch, probes: p, tables: tables, rnd: ch.rnd}
}

// run goes through shuffled rounds of the faults until the time is over; the first fault that is started before its end is
// carried to its end.
func (n *nemesis) run(d time.Duration) {
	end := time.Now().Add(d)
	var choice []fault
	for _, f := range faults {
		if *only == "" || slices.Contains(strings.Split(*only, ","), f.name) {
			choice = append(choice, f)
		}
	}
	if len(choice) == 0 {
		n.ch.t.Fatalf("no fault is named %q", *only)
	}
	n.ch.t.Logf("faults %s", strings.Join(names(choice), ","))
	for {
		for _, i := range n.rnd.Perm(len(choice)) {
			if time.Now().After(end) {
				return
			}
			n.inflict(choice[i])
		}
	}
}

func names(of []fault) []string {
	var out []string
	for _, f := range of {
		out = append(out, f.name)
	}
	return out
}

func (n *nemesis) inflict(f fault) {
	if f.name == "add" && n.added {
		return
	}
	if f.destroys {
		n.ch.scrub(n.tables)
	}
	whole := n.whole()
	from := time.Now()
	what, blind := f.run(n)
	if !whole {
		what += ", degraded before"
	}
	ended := time.Now()
	cluster.Sleep(n.ch.t.Context(), settle)
	if !blind.IsZero() {
		from = blind
	}
	gap := n.probes.gap(from, time.Now())
	event := fmt.Sprintf("[%7v] %-7s %-44s lasted %6v, longest gap in writes %v", from.Sub(n.ch.started).Round(time.Millisecond), f.name, what,
		ended.Sub(from).Round(time.Millisecond), gap.Round(time.Millisecond))
	n.events = append(n.events, event)
	n.ch.t.Log(event)
	if f.limit > 0 && whole && gap > f.limit {
		n.ch.broken("%s: no write to a tablet for %v, the limit is %v", f.name, gap.Round(time.Millisecond), f.limit)
	}
}

// whole reports whether every replica is OK: a fault that meets a cluster which is still repairing the one before may take
// the quorum, and then its gap in writes says nothing about Stele.
func (n *nemesis) whole() bool {
	ctx, cancel := context.WithTimeout(n.ch.t.Context(), 10*time.Second)
	defer cancel()
	for _, table := range n.tables {
		t, err := cluster.ReadTable(ctx, n.ch.c.DB(), "ADMIN SHOW REPLICA STATUS FROM "+table)
		if err != nil || slices.ContainsFunc(t.Column("Status"), func(s string) bool { return s != "OK" }) {
			return false
		}
	}
	return true
}

// heal has every node running; waiting for the replicas is the caller's.
func (n *nemesis) heal() {
	for _, node := range n.ch.c.Nodes() {
		if n.pid(node) == 0 {
			n.start(node)
		}
	}
}

func (n *nemesis) backends() []string {
	var out []string
	for _, node := range n.ch.c.Nodes() {
		if strings.HasPrefix(node, "be") {
			out = append(out, node)
		}
	}
	return out
}

func (n *nemesis) pick() string { all := n.backends(); return all[n.rnd.IntN(len(all))] }

func (n *nemesis) between(from, to time.Duration) time.Duration {
	return from + time.Duration(n.rnd.Int64N(int64(to-from)))
}

func (n *nemesis) sleep(d time.Duration) { cluster.Sleep(n.ch.t.Context(), d) }

func (n *nemesis) killNode(node string) {
	if err := n.ch.c.Kill(node); err != nil {
		n.ch.t.Fatal(err)
	}
}

func (n *nemesis) start(node string) {
	if err := n.ch.c.StartNode(node); err != nil {
		n.ch.t.Fatal(err)
	}
	if strings.HasPrefix(node, "be") {
		n.ch.c.WaitAlive(n.ch.t, node, true, 30*time.Second)
	}
}

// kill is a crash that lasts long enough for the FE to notice.
func (n *nemesis) kill() (string, time.Time) {
	node, d := n.pick(), n.between(2*time.Second, 6*time.Second)
	n.killNode(node)
	n.sleep(d)
	n.start(node)
	return fmt.Sprintf("%s for %v", node, d.Round(time.Millisecond)), time.Time{}
}

// blink is a crash with a restart at once: it may go unnoticed.
func (n *nemesis) blink() (string, time.Time) {
	node := n.pick()
	n.killNode(node)
	n.start(node)
	return node, time.Time{}
}

// killTwo leaves most tablets without a quorum. Only the time after the first of the two is back counts.
func (n *nemesis) killTwo() (string, time.Time) {
	all := n.backends()
	n.rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	d := n.between(2*time.Second, 5*time.Second)
	n.killNode(all[0])
	n.sleep(n.between(0, time.Second))
	n.killNode(all[1])
	n.sleep(d)
	n.start(all[0])
	back := time.Now()
	n.sleep(n.between(0, 2*time.Second))
	n.start(all[1])
	return fmt.Sprintf("%s and %s for %v", all[0], all[1], d.Round(time.Millisecond)), back
}

func (n *nemesis) pauseOne() (string, time.Time) {
	return n.stopFor(n.pick(), n.between(3*time.Second, 9*time.Second))
}

// hiccup is a pause that is too short to count as a death.
func (n *nemesis) hiccup() (string, time.Time) {
	return n.stopFor(n.pick(), n.between(200*time.Millisecond, 1500*time.Millisecond))
}

func (n *nemesis) stopFor(node string, d time.Duration) (string, time.Time) {
	pid := n.pid(node)
	if pid == 0 {
		n.ch.t.Fatalf("%s does not run", node)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		n.ch.t.Fatalf("stop %s: %v", node, err)
	}
	n.sleep(d)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		n.ch.t.Fatalf("continue %s: %v", node, err)
	}
	return fmt.Sprintf("%s for %v", node, d.Round(time.Millisecond)), time.Time{}
}

// wipe loses the disks of a BE.
func (n *nemesis) wipe() (string, time.Time) {
	node := n.pick()
	n.killNode(node)
	n.sleep(n.between(0, 3*time.Second))
	if err := n.ch.c.Wipe(node); err != nil {
		n.ch.t.Fatal(err)
	}
	n.start(node)
	n.ch.healthy(n.tables, healTimeout)
	return node, time.Time{}
}

// frontend crashes an FE: when it is the only one nothing works until it is back.
func (n *nemesis) frontend() (string, time.Time) {
	node, role := n.pickFrontend()
	n.killNode(node)
	n.sleep(n.between(0, 3*time.Second))
	n.start(node)
	if *fes == 1 {
		return node, time.Now()
	}
	return node + role, time.Time{}
}

// storm lets faults overlap: one BE hangs, another crashes, the leaders move, and the FE crashes in the middle of it.
func (n *nemesis) storm() (string, time.Time) {
	all := n.backends()
	n.rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	pid := n.pid(all[0])
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		n.ch.t.Fatalf("stop %s: %v", all[0], err)
	}
	n.sleep(n.between(0, 4*time.Second))
	n.killNode(all[1])
	n.sleep(n.between(0, 500*time.Millisecond))
	fe, _ := n.pickFrontend()
	n.killNode(fe)
	n.start(fe)
	n.sleep(n.between(0, 2*time.Second))
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		n.ch.t.Fatalf("continue %s: %v", all[0], err)
	}
	back := time.Now()
	n.leaders()
	n.sleep(n.between(0, time.Second))
	n.start(all[1])
	return fmt.Sprintf("%s hung, %s and %s crashed", all[0], all[1], fe), back
}

// power ends every process at once and starts all of them, the FE last or first.
func (n *nemesis) power() (string, time.Time) {
	nodes := n.ch.c.Nodes()
	for _, node := range nodes {
		if n.pid(node) == 0 {
			continue // a signal to process 0 would be for all of the tests
		}
		if err := syscall.Kill(n.pid(node), syscall.SIGKILL); err != nil {
			n.ch.t.Fatalf("kill %s: %v", node, err)
		}
	}
	for _, node := range nodes {
		n.ch.c.Wait(n.ch.t, node+" gone", 10*time.Second, func() (bool, string) { return n.pid(node) == 0, "it runs" })
	}
	n.rnd.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	for _, node := range nodes { // an FE listens when enough of them run: no start waits for that
		if err := n.ch.c.Spawn(node); err != nil {
			n.ch.t.Fatal(err)
		}
	}
	for _, node := range n.frontends() {
		n.answers(node)
	}
	for _, node := range n.backends() {
		n.ch.c.WaitAlive(n.ch.t, node, true, 30*time.Second)
	}
	return "all nodes, started as " + strings.Join(nodes, " "), time.Now()
}

func (n *nemesis) leaders() (string, time.Time) {
	ctx, cancel := context.WithTimeout(n.ch.t.Context(), 30*time.Second)
	defer cancel()
	if _, err := n.ch.c.DB().ExecContext(ctx, "BALANCE VGROUP LEADER"); err != nil {
		n.ch.broken("BALANCE VGROUP LEADER: %v", err)
	}
	return "balanced", time.Time{}
}

func (n *nemesis) add() (string, time.Time) {
	ctx, cancel := context.WithTimeout(n.ch.t.Context(), time.Minute)
	defer cancel()
	node, err := n.ch.c.AddBackend(ctx)
	if err != nil {
		n.ch.t.Fatal(err)
	}
	n.added = true
	n.ch.c.WaitAlive(n.ch.t, node, true, 30*time.Second)
	return node, time.Time{}
}

// flip turns bits in the stored rows of a BE that is down. A BE that refuses to open such a disk gets an empty one, as an
// operator would do.
func (n *nemesis) flip() (string, time.Time) {
	node := n.pick()
	n.killNode(node)
	what := n.flipBits(node)
	if err := n.ch.c.StartNode(node); err != nil {
		what += ", refused to start: wiped"
		if err := errors.Join(n.ch.c.Wipe(node), n.ch.c.StartNode(node)); err != nil {
			n.ch.t.Fatal(err)
		}
	}
	n.ch.c.WaitAlive(n.ch.t, node, true, 30*time.Second)
	n.sleep(3 * time.Second)
	if n.offline(node) { // as an operator would: a disk whose store does not open is emptied, never by the BE itself
		what += ", its disk did not open: emptied"
		n.killNode(node)
		if err := errors.Join(n.ch.c.Wipe(node), n.ch.c.StartNode(node)); err != nil {
			n.ch.t.Fatal(err)
		}
		n.ch.c.WaitAlive(n.ch.t, node, true, 30*time.Second)
	}
	n.ch.healthy(n.tables, healTimeout)
	return what, time.Time{}
}

// offline reports whether a BE has a disk that it could not open.
func (n *nemesis) offline(node string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	id := must(n.ch.c.BackendID(ctx, node))
	disks := must(cluster.ReadTable(ctx, n.ch.c.DB(), "SHOW PROC '/backends/"+id+"'"))
	return slices.Contains(disks.Column("State"), "OFFLINE")
}

// flipBits damages a few bytes of the files that hold tables and values.
func (n *nemesis) flipBits(node string) string {
	var files []string
	for _, disk := range must(filepath.Glob(filepath.Join(n.ch.c.Dir, node, "storage*"))) {
		err := filepath.WalkDir(disk, func(path string, entry fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err == nil && (ext == ".sst" || ext == ".seg" || ext == ".vlog" || ext == ".mem") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			n.ch.t.Fatalf("look for the files of %s: %v", node, err)
		}
	}
	slices.Sort(files)
	var hit []string
	for range 1 + n.rnd.IntN(3) {
		path := files[n.rnd.IntN(len(files))]
		offsets, err := flipIn(path, n.rnd)
		if err != nil {
			n.ch.t.Fatalf("flip bits: %v", err)
		}
		hit = append(hit, fmt.Sprintf("%s@%v", strings.TrimPrefix(path, filepath.Join(n.ch.c.Dir, node)+"/"), offsets))
	}
	return node + " " + strings.Join(hit, " ")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return v
}

// flipIn turns one bit in each of a few places of what a file really holds: Badger's files are allocated ahead, and a flip
// in the zeros behind the end would prove nothing.
func flipIn(path string, rnd *rand.Rand) (offsets []int, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	used := len(data)
	for used > 0 && data[used-1] == 0 {
		used--
	}
	if used == 0 {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	for range 1 + rnd.IntN(3) {
		at := rnd.IntN(used)
		if _, werr := f.WriteAt([]byte{data[at] ^ 1<<rnd.IntN(8)}, int64(at)); werr != nil {
			err = errors.Join(err, werr)
		}
		offsets = append(offsets, at)
	}
	return offsets, errors.Join(err, f.Close())
}

// pid is the process of a node, 0 when it does not run: a process holds the lock of its pid file for as long as it lives.
func (n *nemesis) pid(node string) int {
	f, err := os.Open(filepath.Join(n.ch.c.Dir, node, "stele.pid"))
	if err != nil {
		return 0
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0
	}
	text, err := io.ReadAll(f)
	if err != nil {
		n.ch.t.Fatalf("pid of %s: %v", node, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0 // somebody empties the file of a process that is gone, or has not written it yet
	}
	return pid
}
