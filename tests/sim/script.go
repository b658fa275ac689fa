package sim

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"stele/fe/sched"
	"stele/meta/types"
)

// A script is lines of words; # begins a comment.
//
//	cluster KEY=VALUE…             the cluster (first line)
//	kill|revive|decommission be N [M…]   … zone N
//	fill|room be N [M…]            others take all the room of its disks, or give it back
//	add N                          empty BEs
//	outage 30s be N [M…] every 60s one after the other dies and comes back after 30s
//	leader                         another FE leads
//	writes 20 every 1s             tablets at random get a version each, from now on; writes 0 ends it
//	wait 60s                       time passes
//	heal 6h                        time passes until all is healthy and nothing is left to do
//	expect NAME <=|>=|= NUMBER     about what has happened since the last change; see facts
//
// Phase is what happened between a change and the expectations about it.
type Phase struct {
	Name    string
	BoundMs float64 // bytes to move ÷ permitted bandwidth
	TookMs  float64 // from the first begin to the last end of a clone
	Stats   Stats
	HeapMB  uint64
	CPU     time.Duration // that all of it took, the simulated world included
	before  Stats
	begun   time.Duration
}

// Runner runs one script.
type Runner struct {
	W      *World
	Phases []Phase
	shape  Shape
}

// Play runs a script and returns what its expectations say of it, the first failure as an error.
func Play(text string) (*Runner, error) {
	r := &Runner{}
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := r.do(words); err != nil {
			return r, fmt.Errorf("line %d (%s): %w", n+1, strings.TrimSpace(line), err)
		}
	}
	return r, nil
}

func (r *Runner) do(words []string) error {
	verb, args := words[0], words[1:]
	if verb == "cluster" {
		shape, err := parseShape(args)
		if err == nil {
			r.shape, r.W = shape, New(shape)
		}
		return err
	}
	if r.W == nil {
		return fmt.Errorf("the cluster comes first")
	}
	switch verb {
	case "kill", "revive", "decommission", "fill", "room", "add", "outage", "leader":
		return r.change(verb, args)
	case "wait", "heal":
		ms, err := duration(args[0])
		if err != nil {
			return err
		}
		return r.pass(verb == "heal", ms)
	case "expect":
		return r.expect(args)
	case "writes":
		return r.startWrites(args)
	}
	return fmt.Errorf("no such word: %s", verb)
}

// change does something to the cluster and begins a phase.
func (r *Runner) change(verb string, args []string) error {
	p := Phase{Name: verb + " " + strings.Join(args, " "), before: r.W.Stats, begun: cpuTime()}
	r.W.Stats.FirstMs, r.W.Stats.LastMs, r.W.Stats.RepairedMs, r.W.Stats.StepMaxNs = 0, 0, 0, 0
	var err error
	switch verb {
	case "add":
		n, e := strconv.Atoi(args[0])
		if e != nil {
			return e
		}
		p.BoundMs = r.evenBound(n)
		r.W.AddBEs(n)
	case "leader":
		r.W.NewLeader()
	case "outage":
		err = r.outages(args)
	default:
		var ids []types.BEID
		if ids, err = r.targets(args); err != nil {
			return err
		}
		p.BoundMs = r.lossBound(ids)
		err = r.apply(verb, ids)
	}
	r.Phases = append(r.Phases, p)
	r.W.wakeAt = r.W.now
	return err
}

func (r *Runner) apply(verb string, ids []types.BEID) error {
	switch verb {
	case "kill":
		return r.W.Kill(ids)
	case "revive":
		return r.W.Revive(ids)
	case "fill", "room":
		r.W.fill(ids, verb == "fill")
		return nil
	}
	for _, id := range ids {
		r.W.be(id).Decommissioned = true
	}
	return nil
}

// outages: "30s be 1 2 3 every 60s".
func (r *Runner) outages(args []string) error {
	every := slices.Index(args, "every")
	if every < 0 {
		return fmt.Errorf("how often?")
	}
	down, err := duration(args[0])
	if err != nil {
		return err
	}
	pause, err := duration(args[every+1])
	if err != nil {
		return err
	}
	ids, err := r.targets(args[1:every])
	if err != nil {
		return err
	}
	for i, id := range ids {
		at := int64(i) * pause
		r.W.Later(at, func() error { return r.W.Kill([]types.BEID{id}) })
		r.W.Later(at+down, func() error { return r.W.Revive([]types.BEID{id}) })
	}
	return nil
}

// targets reads "be 1 2 3", "be 1..9" or "zone 2".
func (r *Runner) targets(args []string) ([]types.BEID, error) {
	var ids []types.BEID
	for _, a := range args[1:] {
		from, to, ok := strings.Cut(a, "..")
		if !ok {
			to = from
		}
		lo, err1 := strconv.Atoi(from)
		hi, err2 := strconv.Atoi(to)
		if err := cmp.Or(err1, err2); err != nil {
			return nil, err
		}
		for n := lo; n <= hi; n++ {
			if args[0] == "be" {
				ids = append(ids, types.BEID(n))
				continue
			}
			for i := range r.W.bes {
				if r.W.bes[i].Zone == fmt.Sprintf("zone%d", n) {
					ids = append(ids, r.W.bes[i].ID)
				}
			}
		}
	}
	return ids, nil
}

// lossBound is how long it takes at least to make the replicas of some BEs anew: every disk that is left takes in as much
// as it may, all the time, and every disk that has a copy gives out as much; no tablet comes faster than one disk takes it.
func (r *Runner) lossBound(ids []types.BEID) float64 {
	gone := map[types.BEID]bool{}
	for _, id := range ids {
		gone[id] = true
	}
	var bytes, largest int64
	for i := range r.W.tablets {
		for j := range r.W.tablets[i].Replicas {
			if x := &r.W.tablets[i].Replicas[j]; gone[x.BE] {
				bytes, largest = bytes+x.Bytes, max(largest, x.Bytes)
			}
		}
	}
	senders := map[diskKey]bool{}
	for i := range r.W.tablets {
		lost := slices.ContainsFunc(r.W.tablets[i].Replicas, func(x sched.Replica) bool { return gone[x.BE] })
		for j := range r.W.tablets[i].Replicas {
			if x := &r.W.tablets[i].Replicas[j]; lost && !gone[x.BE] && r.W.alive(x.BE) {
				senders[diskKey{x.BE, x.Disk}] = true
			}
		}
	}
	disks := 0
	for i := range r.W.bes {
		if be := &r.W.bes[i]; be.Available() && !gone[be.ID] {
			disks += len(be.Disks)
		}
	}
	return max(r.ms(bytes, min(disks, max(len(senders), 1))), r.ms(largest, 1))
}

// evenBound is how long it takes at least to fill new BEs to the average.
func (r *Runner) evenBound(n int) float64 {
	var bytes int64
	for i := range r.W.tablets {
		for j := range r.W.tablets[i].Replicas {
			bytes += r.W.tablets[i].Replicas[j].Bytes
		}
	}
	return r.ms(bytes*int64(n)/int64(len(r.W.bes)+n), n*r.shape.Disks)
}

func (r *Runner) ms(bytes int64, disks int) float64 {
	return float64(bytes) * 1000 / float64(r.shape.Bandwidth) / float64(max(disks, 1))
}

// pass lets time pass and closes the account of the phase.
func (r *Runner) pass(heal bool, ms int64) error {
	w := r.W
	var done func() bool
	if heal {
		quiet := -1 // actions when it was healthy first: then nothing more may come for two scans
		var since int64
		done = func() bool {
			n := w.Stats.Adds + w.Stats.Drops + w.Stats.Clones
			if n != quiet {
				if len(w.events) > 0 || w.Unhealthy() > 0 {
					return false
				}
				quiet, since = n, w.now
			}
			return w.now-since > 3*w.shape.Limits.ScanMs
		}
	}
	ok, err := w.Run(ms, done)
	if err == nil && !ok {
		err = fmt.Errorf("not healthy after %s: %d tablets, first: %s", time.Duration(ms)*time.Millisecond, w.Unhealthy(), r.firstUnhealthy())
	}
	if len(r.Phases) > 0 {
		p := &r.Phases[len(r.Phases)-1]
		p.Stats = w.Stats
		p.TookMs = float64(w.Stats.LastMs - w.Stats.FirstMs)
		if w.Stats.RepairedMs > 0 { // moves for balance that follow do not count
			p.TookMs = float64(w.Stats.RepairedMs - w.Stats.FirstMs)
		}
		p.CPU = cpuTime() - p.begun
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		p.HeapMB = max(p.HeapMB, m.HeapAlloc>>20)
	}
	return err
}

func (r *Runner) firstUnhealthy() string {
	v := r.W.View()
	for i := range v.Tablets {
		if h := sched.Health(&v.Tablets[i], v, r.W.Clock()); h.Status != sched.Healthy || h.Copies < h.Want {
			task, _ := r.W.sched.Task(v.Tablets[i].ID)
			return fmt.Sprintf("tablet %d: %s, %+v, task %+v", v.Tablets[i].ID, h.Detail(), v.Tablets[i].Replicas, task)
		}
	}
	return "none"
}

// fact answers what an expectation asks.
func (r *Runner) fact(name string) (float64, error) {
	p := &r.Phases[len(r.Phases)-1]
	switch name {
	case "ratio": // time against the lower bound
		return p.TookMs / p.BoundMs, nil
	case "adds":
		return float64(p.Stats.Adds - p.before.Adds), nil
	case "clones":
		return float64(p.Stats.Clones - p.before.Clones), nil
	case "full": // clones of everything
		return float64(p.Stats.Fulls - p.before.Fulls), nil
	case "written": // versions
		return float64(p.Stats.Written - p.before.Written), nil
	case "refused": // versions that a full disk kept from being committed
		return float64(p.Stats.Refused - p.before.Refused), nil
	case "drops":
		return float64(p.Stats.Drops - p.before.Drops), nil
	case "unhealthy":
		return float64(r.W.Unhealthy()), nil
	case "heap_mb":
		return float64(p.HeapMB), nil
	case "spread": // replicas of the fullest BE against the average
		return r.spread(), nil
	case "apart": // tablets of a group that are not where it is
		return float64(r.W.apart()), nil
	case "on_gone": // replicas left on BEs that are dead or decommissioned
		return float64(r.onGone()), nil
	}
	return 0, fmt.Errorf("no such fact: %s", name)
}

func (r *Runner) spread() float64 {
	count := map[types.BEID]int{}
	total, bes, most := 0, 0, 0
	for i := range r.W.tablets {
		for j := range r.W.tablets[i].Replicas {
			be := r.W.tablets[i].Replicas[j].BE
			count[be]++
			total++
			most = max(most, count[be])
		}
	}
	for i := range r.W.bes {
		if r.W.bes[i].Available() {
			bes++
		}
	}
	return float64(most) * float64(bes) / float64(total)
}

func (r *Runner) onGone() int {
	n := 0
	for i := range r.W.tablets {
		for j := range r.W.tablets[i].Replicas {
			if be := r.W.be(r.W.tablets[i].Replicas[j].BE); be == nil || !be.Available() {
				n++
			}
		}
	}
	return n
}

func (r *Runner) expect(args []string) error {
	if len(args) != 3 || len(r.Phases) == 0 {
		return fmt.Errorf("expect NAME <=|>=|= NUMBER, after a change")
	}
	got, err := r.fact(args[0])
	if err != nil {
		return err
	}
	want, err := strconv.ParseFloat(args[2], 64)
	if err != nil {
		return err
	}
	ok := got == want
	switch args[1] {
	case "<=":
		ok = got <= want
	case ">=":
		ok = got >= want
	}
	if !ok {
		return fmt.Errorf("%s is %.4g", args[0], got)
	}
	return nil
}
