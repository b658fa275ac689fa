package session

import (
	"testing"

	"stele/conf"
	"stele/fe/cluster"
	"stele/fe/fakecluster"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/sql/errno"
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

// expect wants success, or the refusal of properties.
func expect(t *testing.T, what string, err error, well bool) {
	t.Helper()
	known, ok := sqltypes.AsError(err)
	if well && err != nil || !well && (!ok || known.Code != errno.WrongArguments) {
		t.Errorf("%s: %v", what, err)
	}
}
