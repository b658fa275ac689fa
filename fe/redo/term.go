package redo

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// term is the work of one term of leadership. Only Run touches it, but for the calls, which send what they have learned to ended.
type term struct {
	*Driver
	plan  *Planner
	bes   map[types.BEID]*backend
	next  time.Time // round
	ended chan visit
	slots chan struct{}
	calls sync.WaitGroup
}

// backend is what is remembered of a BE between visits.
type backend struct {
	busy    bool // a visit is under way
	poked   bool // and has not been visited since
	anew    bool // it was started, and lacks something since
	last    time.Time
	backOff time.Duration
	after   time.Time // before it nothing is given to the BE: it has taken nothing the last time
}

func (t *term) be(id types.BEID) *backend {
	b := t.bes[id]
	if b == nil {
		b = &backend{}
		t.bes[id] = b
	}
	return b
}

// step does what is due and returns when to come again; idle = when the catalog has changed.
func (t *term) step(ctx context.Context, now time.Time) (pause time.Duration, idle bool) {
	for id, p := range t.takePokes() {
		b := t.be(id)
		b.poked = true
		if p.restarted {
			b.anew, b.backOff, b.after = true, 0, time.Time{}
		}
	}
	if !now.Before(t.next) && !t.round(ctx, now) {
		return 0, true
	}
	return min(t.visitPoked(ctx, now), t.next.Sub(now)), false
}

// round looks at all tablets with redo; false when there are none, or nothing may be made of them.
func (t *term) round(ctx context.Context, now time.Time) bool {
	cat := t.o.Log.Current()
	tablets := watched(cat)
	if len(tablets) == 0 || cat.Restoring() != nil { // what looks lost may only not have been heard of
		t.plan = NewPlanner()
		maps.DeleteFunc(t.bes, func(_ types.BEID, b *backend) bool { return !b.busy })
		return false
	}
	grace := awayGrace
	if cat.RedoBytes() >= graceBytes {
		grace = 0
	}
	trims, asks := t.plan.Round(tablets, func(be types.BEID) bool { return t.o.Members.Away(be, grace) })
	t.trim(ctx, trims, now)
	for id, items := range asks {
		if b := t.be(id); !b.busy && t.o.Members.Alive(id) {
			t.visit(ctx, id, b, items, now)
		}
	}
	t.next = now.Add(roundPause)
	if cat.RedoBytes() >= hurryBytes {
		t.next = now.Add(hurryPause)
	}
	return true
}

// visitPoked visits the BEs that were poked, each after a pause, and returns when the next one is due at the latest.
func (t *term) visitPoked(ctx context.Context, now time.Time) time.Duration {
	pause := roundPause
	var tablets []Tablet
	for id, b := range t.bes {
		if !b.poked || b.busy {
			continue
		}
		if rest := b.last.Add(pokePause).Sub(now); rest > 0 {
			pause = min(pause, rest)
			continue
		}
		if tablets == nil {
			tablets = watched(t.o.Log.Current())
		}
		b.poked = false
		if items := t.plan.AsksOf(id, tablets, b.anew); len(items) > 0 {
			t.visit(ctx, id, b, items, now)
		}
	}
	return pause
}

// visit calls a BE in a goroutine of its own.
func (t *term) visit(ctx context.Context, id types.BEID, b *backend, items []Ask, now time.Time) {
	b.busy, b.poked = true, false
	give := !now.Before(b.after)
	t.calls.Go(func() {
		select {
		case t.slots <- struct{}{}:
			defer func() { <-t.slots }()
		case <-ctx.Done():
			return
		}
		v := t.call(ctx, id, items, give)
		select {
		case t.ended <- v:
		case <-ctx.Done():
		}
	})
}

// note takes in what a visit has brought. A BE that has taken something and lacks more is visited again soon, and so is one that begins
// anew and could not be reached; one that takes nothing is given less and less often.
func (t *term) note(v visit, now time.Time) {
	b := t.be(v.be)
	b.busy, b.last = false, now
	again := b.anew && v.unreached && t.o.Members.Alive(v.be) || v.taken && v.lacking > 0
	b.poked = b.poked || again
	b.anew = b.anew && b.poked
	for _, h := range v.heard {
		t.plan.Heard(h.Tablet, h.Replica, h.durable)
	}
	switch {
	case v.taken:
		b.backOff, b.after = 0, time.Time{}
	case v.given:
		b.backOff = min(max(2*b.backOff, roundPause), backOffMax)
		b.after = now.Add(b.backOff)
	}
}

// trim has the log forget.
func (t *term) trim(ctx context.Context, trims []command.TabletUpTo, now time.Time) {
	if len(trims) == 0 {
		return
	}
	var cmds []command.Command
	for chunk := range slices.Chunk(trims, trimMax) {
		cmds = append(cmds, &command.TrimRedo{Tablets: chunk, TimeMs: now.UnixMilli()})
	}
	pctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := t.o.Log.Propose(pctx, cmds...)
	for i := range out {
		if err == nil {
			err = out[i].Err
		}
	}
	if err != nil && ctx.Err() == nil {
		t.o.Logger.Warn("trim redo", "tablets", len(trims), "err", err)
	}
}

// watched lists the tablets with redo.
func watched(cat *catalog.Catalog) []Tablet {
	var out []Tablet
	for tab := range cat.Redoing() {
		table, ok := cat.TableByID(tab.Table)
		if !ok {
			continue
		}
		w := Tablet{ID: tab.ID, Version: tab.Version, Oldest: oldest(tab), Leader: tab.Leader, Replicas: make([]Replica, 0, len(tab.Replicas))}
		for i := range tab.Replicas {
			r := &tab.Replicas[i]
			if r.Role == types.RoleFollower { // also one that is set aside: it may be put into use again as it is
				f := Replica{ID: r.ID, BE: r.BE, Voter: r.Votes() && !r.Bad}
				switch {
				case r.Bad: // whatever it has, it is replaced
				case r.LastFailed == 0:
					f.Known = tab.Version
				default:
					f.Known = r.Version
				}
				w.Replicas = append(w.Replicas, f)
			}
		}
		w.Need = table.CommitNeed(tab)
		out = append(out, w)
	}
	return out
}

// oldest returns the first version of a tablet that has its rows in the log.
func oldest(tab *catalog.Tablet) types.Version {
	v := tab.Version
	for r := tab.Redo; r != nil; r = r.Prev {
		v = r.Version
	}
	return v
}
