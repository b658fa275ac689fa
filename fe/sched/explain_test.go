package sched

import (
	"fmt"
	"strings"
	"testing"

	"stele/meta/types"
)

// TestSentences holds what ADMIN EXPLAIN TABLET, SAFE TO STOP and the dry runs say against what the scheduler then does, in
// the situations that an operator meets. Three BEs hold a tablet of three replicas, a fourth has room.
func TestSentences(t *testing.T) {
	const now, tolerance = int64(1_000_000), int64(60_000)
	dead := func(be *BE, ms int64) { be.Alive, be.DeadSinceMs = false, now-ms }
	for _, tc := range []struct {
		name      string
		change    func(bes []BE, tab *Tablet, l *Limits)
		says      []string // of the explanation, in any order
		never     string   // not said
		safe      bool     // to stop BE 2
		dryAction ActionKind
		dry       bool // a dry run of the repair does something
	}{
		{name: "healthy", says: []string{"HEALTHY", "as many complete replicas as wanted"}, never: "Delayed", safe: true},
		{name: "dead within the tolerance", change: func(bes []BE, _ *Tablet, _ *Limits) { dead(&bes[0], 1000) },
			says: []string{"HEALTHY", "only 2 of 3 replicas can be read now", "for another 59 s", "ADMIN REPAIR TABLE repairs it now", "DROP BACKEND", "its backend is dead for 1 s"}},
		{name: "most are dead within the tolerance", change: func(bes []BE, _ *Tablet, _ *Limits) { dead(&bes[0], 1000); dead(&bes[1], 1000) },
			says: []string{"{Status UNAVAILABLE bring the backends back", "only 1 of 3 replicas can be read now", "for another 59 s"}, never: "HEALTHY", safe: true},
		{name: "all are dead within the tolerance", change: func(bes []BE, _ *Tablet, _ *Limits) {
			for i := range 3 {
				dead(&bes[i], 1000)
			}
		}, says: []string{"{Status UNAVAILABLE bring a backend with a complete replica back", "only 0 of 3 replicas can be read now"}, never: "HEALTHY", safe: true},
		{name: "dead within the tolerance and hinted", change: func(bes []BE, t *Tablet, _ *Limits) { dead(&bes[0], 1000); t.Hinted = true },
			says: []string{"REPLICA_MISSING", "VERY_HIGH by an operator's hint", "2 of 3 replicas are alive"}, never: "Delayed", dry: true, dryAction: ActAdd},
		{name: "dead for long", change: func(bes []BE, _ *Tablet, _ *Limits) { dead(&bes[0], 3*tolerance) },
			says: []string{"REPLICA_MISSING", "2 of 3 replicas are alive"}, never: "Delayed", dry: true, dryAction: ActAdd},
		{name: "dead for long and delayed", change: func(bes []BE, _ *Tablet, l *Limits) {
			dead(&bes[0], tolerance+1)
			l.DelayFactorMs = 2 * tolerance
		}, says: []string{"REPLICA_MISSING", "Delayed", "ADMIN REPAIR TABLE repairs it now"}, dry: true, dryAction: ActAdd},
		{name: "delayed and hinted", change: func(bes []BE, tab *Tablet, l *Limits) {
			dead(&bes[0], tolerance+1)
			l.DelayFactorMs, tab.Hinted = 2*tolerance, true
		}, says: []string{"REPLICA_MISSING", "by an operator's hint"}, never: "Delayed", dry: true, dryAction: ActAdd},
		{name: "no failover without being told", change: func(bes []BE, tab *Tablet, l *Limits) {
			tab.Replicas[0].Bad, l.AutoFailover = true, false
		}, says: []string{"REPLICA_MISSING", "auto_failover is off", "ADMIN REPAIR TABLE orders the repair", "its data is damaged"}},
		{name: "behind", change: func(_ []BE, tab *Tablet, _ *Limits) {
			tab.Version, tab.Replicas[1].Version, tab.Replicas[2].Version, tab.Replicas[0].LastFailed = 4, 4, 4, 4
		}, says: []string{"VERSION_INCOMPLETE", "2 of 3 replicas have every version", "lacks versions 2 to 4 of 4"}, dry: true, dryAction: ActClone},
		{name: "relocating", change: func(bes []BE, _ *Tablet, _ *Limits) { bes[0].Decommissioned = true },
			says: []string{"REPLICA_RELOCATING", "its backend is being decommissioned"}, safe: true, dry: true, dryAction: ActAdd},
		{name: "set aside", change: func(_ []BE, tab *Tablet, _ *Limits) { tab.Replicas[0].Offline = true },
			says: []string{"taken out of use by an operator", "puts it back into use", "about to be in use again"}},
		{name: "nowhere to go", change: func(bes []BE, _ *Tablet, _ *Limits) { dead(&bes[0], 3*tolerance); dead(&bes[3], 3*tolerance) },
			says: []string{"REPLICA_MISSING", "add a backend, or lower replication_num"}},
		{name: "no copy left", change: func(bes []BE, _ *Tablet, _ *Limits) {
			for i := range 3 {
				dead(&bes[i], 3*tolerance)
			}
		}, says: []string{"REPLICA_MISSING", "bring a backend with a complete replica back"}, safe: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bes, tab, l := sentenceWorld()
			l.ToleranceMs = tolerance
			if tc.change != nil {
				tc.change(bes, &tab, &l)
			}
			v := NewView(bes, []Tablet{tab})
			text := fmt.Sprint(Explain(v, &v.Tablets[0], Clock{NowMs: now, ToleranceMs: tolerance}, l, nil))
			for _, want := range tc.says {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not said: %s", want, text)
				}
			}
			if tc.never != "" && strings.Contains(text, tc.never) {
				t.Errorf("%q is said: %s", tc.never, text)
			}
			if found := SafeToStop(v, 2, func(_ *Tablet, n int) int { return n/2 + 1 }); (len(found) == 0) != tc.safe {
				t.Errorf("stopping BE 2: %v", found)
			}
			l.DisableBalance = true
			o := DryRun(v, l, now, nil)
			if did := len(o.Steps) > 0 && o.Steps[0].Action != ActLeaders; did != tc.dry || did && o.Steps[0].Action != tc.dryAction {
				t.Errorf("dry run: %+v", o.Steps)
			}
		})
	}
}

func sentenceWorld() ([]BE, Tablet, Limits) {
	var bes []BE
	for i := range 4 {
		id := types.BEID(i + 1)
		bes = append(bes, BE{ID: id, Host: fmt.Sprintf("h%d", id), Alive: true, Disks: []Disk{{ID: types.DiskID(id), Total: 1 << 40, Available: 1 << 39}}})
	}
	tab := Tablet{ID: 1, Table: 1, Want: 3, Version: 1, Epoch: 1, Leader: 3}
	for i := range 3 {
		tab.Replicas = append(tab.Replicas, Replica{ID: types.ReplicaID(i + 1), BE: types.BEID(i + 1), Disk: types.DiskID(i + 1), Version: 1, Bytes: 1000})
	}
	l := DefaultLimits()
	l.DelayFactorMs = 0
	return bes, tab, l
}

// TestBalanceDryRun: each move is shown with its end, and with a reason that is one.
func TestBalanceDryRun(t *testing.T) {
	bes, _, l := sentenceWorld()
	var tablets []Tablet
	for i := range 40 {
		be := types.BEID(i%2 + 1)
		tablets = append(tablets, Tablet{ID: types.TabletID(i + 1), Table: 1, Want: 1, Version: 1, Epoch: 1, Leader: be,
			Replicas: []Replica{{ID: types.ReplicaID(i + 1), BE: be, Disk: types.DiskID(be), Version: 1, Bytes: 1 << 30}}})
	}
	o := DryRun(NewView(bes, tablets), l, 1_000_000, nil)
	adds, drops := 0, 0
	for _, s := range o.Steps {
		switch {
		case s.Action == ActAdd && s.Balance && s.Why == whyEvenLoad:
			adds++
		case s.Action == ActDrop && s.Balance:
			drops++
		case s.Action != ActLeaders:
			t.Errorf("%+v", s)
		}
	}
	if adds == 0 || adds != drops {
		t.Errorf("%d replicas made and %d dropped", adds, drops)
	}
}

// TestClean: what waited is found again by the next scan.
func TestClean(t *testing.T) {
	bes, tab, l := sentenceWorld()
	bes[0].Alive, bes[0].DeadSinceMs = false, 1
	bes[3].Alive, bes[3].DeadSinceMs = false, 1
	s := New()
	s.GrantTasks(1, 1000)
	in := Input{NowMs: 10_000_000, View: NewView(bes, []Tablet{tab}), Scan: true, Limits: l}
	s.Step(in)
	if len(s.Pending()) != 1 || s.Clean() != 1 || len(s.Pending()) != 0 || s.Clean() != 0 {
		t.Fatalf("after cleaning: %v", s.Pending())
	}
	s.Step(in)
	if len(s.Pending()) != 1 {
		t.Fatal("a scan does not find it again")
	}
}
