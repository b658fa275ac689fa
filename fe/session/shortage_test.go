package session

import (
	"context"
	"testing"
	"time"

	"stele/conf"
	"stele/fe/cluster"
	"stele/fe/fakecluster"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/plan"
	sqltypes "stele/sql/types"
)

// heard is what this FE has heard of BEs.
type heard struct {
	stmt.Members
	of map[types.BEID]cluster.BE
}

func (h heard) Get(be types.BEID) (cluster.BE, bool) {
	b, ok := h.of[be]
	return b, ok
}

// TestReplicasThatTheClusterHas: BEs that are away count for how many replicas a table may have, by what is known of their disks;
// those that leave, and those without disks, do not.
func TestReplicasThatTheClusterHas(t *testing.T) {
	disk := func(m types.Medium) []cluster.Disk {
		return []cluster.Disk{{ID: 1, Medium: m, State: types.DiskOnline}}
	}
	for _, tc := range []struct {
		name      string
		third     cluster.BE // the others are alive and have an SSD
		leaves    bool
		most      int // replicas
		ssd, hdds int // replicas of a table on SSD or, by default, HDD, when that is strict
	}{
		{"alive", cluster.BE{Alive: true, Seen: true, Disks: disk(types.MediumSSD)}, false, 3, 3, 3},
		{"dead", cluster.BE{Seen: true, Disks: disk(types.MediumSSD)}, false, 3, 3, 3},
		{"dead, of another medium", cluster.BE{Seen: true, Disks: disk(types.MediumHDD)}, false, 3, 2, 1},
		{"not heard of", cluster.BE{}, false, 3, 3, 3},
		{"without disks", cluster.BE{Alive: true, Seen: true}, false, 2, 2, 2},
		{"dead, without disks", cluster.BE{Seen: true}, false, 2, 2, 2},
		{"leaving", cluster.BE{Alive: true, Seen: true, Disks: disk(types.MediumSSD)}, true, 2, 2, 2},
	} {
		c := fakecluster.New(t, 3, 1, types.QuorumMajority)
		live := conf.NewLive(conf.FE.Defaults(t.TempDir()))
		if _, err := live.Set("enable_strict_storage_medium_check", "true"); err != nil {
			t.Fatal(err)
		}
		members := heard{of: map[types.BEID]cluster.BE{c.BEs[2].ID: tc.third}}
		for _, be := range c.BEs[:2] {
			members.of[be.ID] = cluster.BE{Alive: true, Seen: true, Disks: disk(types.MediumSSD)}
		}
		if tc.leaves {
			c.Log.Must(t, &command.SetBEState{BE: c.BEs[2].ID, Decommission: true})
		}
		s := &Session{sh: New(Parts{Log: c.Log, Members: members, Conf: live})}
		for n := 1; n <= 4; n++ {
			table := catalog.Table{Replicas: n, Medium: types.MediumSSD}
			expect(t, tc.name+", any disk", s.holdable(n), n <= tc.most)
			if n <= tc.most {
				expect(t, tc.name+", SSD", s.strictMedium(&table), n <= tc.ssd)
				table.Medium = types.MediumHDD
				expect(t, tc.name+", HDD", s.strictMedium(&table), n <= tc.hdds)
			}
		}
	}
}

// births counts how often the catalog was asked for, and has the first BE added meanwhile.
type births struct {
	*fakecluster.Log
	asked int
	at    int // the look that finds the first BE, 0 = none does
}

func (b *births) Current() *catalog.Catalog {
	if b.asked++; b.asked == b.at {
		if _, err := b.Propose(context.Background(), &command.AddBE{BE: catalog.BE{Host: "h", Port: 1}}); err != nil {
			panic(err)
		}
	}
	return b.Log.Current()
}

// TestAwaitsTheFirstBackend: a cluster that was made just now is about to get its BEs; an older one, and one that has some, waits for nothing.
func TestAwaitsTheFirstBackend(t *testing.T) {
	for _, tc := range []struct {
		name    string
		age     time.Duration
		bes, at int
		killed  bool
		looks   int // at the catalog; the first is for its age
	}{
		{"new", 0, 0, 5, false, 5},
		{"new, and killed", 0, 0, 0, true, 3},
		{"old", time.Hour, 0, 0, false, 1},
		{"of a clock that is ahead", -time.Hour, 0, 0, false, 1},
		{"new, with a BE", 0, 1, 0, false, 2},
	} {
		log := &births{Log: fakecluster.Empty(), at: tc.at}
		log.Must(t, &command.InitCluster{ClusterID: "c", FE: catalog.FE{Name: "fe1"}, TimeMs: time.Now().Add(-tc.age).UnixMilli()})
		for range tc.bes {
			log.Must(t, &command.AddBE{BE: catalog.BE{Host: "h", Port: 2}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		if tc.killed {
			cancel()
		}
		(&Session{sh: &Shared{Parts: Parts{Log: log}}}).awaitFirstBackend(ctx)
		cancel()
		if log.asked != tc.looks && !(tc.killed && log.asked >= tc.looks) {
			t.Errorf("%s: looked %d times, want %d", tc.name, log.asked, tc.looks)
		}
	}
}

// expect wants success, or the refusal of properties.
func expect(t *testing.T, what string, err error, well bool) {
	t.Helper()
	known, ok := sqltypes.AsError(err)
	if well && err != nil || !well && (!ok || known.Code != plan.CodeWrongArguments) {
		t.Errorf("%s: %v", what, err)
	}
}
