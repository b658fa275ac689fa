package ddl_test

import (
	"context"
	"testing"
	"time"

	"stele/fe/ddl"
	"stele/fe/fakecluster"
	"stele/meta/catalog"
	"stele/meta/command"
)

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
		ddl.New(log, nil, nil).AwaitFirstBackend(ctx)
		cancel()
		if log.asked != tc.looks && !(tc.killed && log.asked >= tc.looks) {
			t.Errorf("%s: looked %d times, want %d", tc.name, log.asked, tc.looks)
		}
	}
}
