package mysql

import (
	"slices"
	"testing"
	"testing/fstest"
)

// TestZonesIn: names of the zone database, without its other files and its copies; UTC is there without any.
func TestZonesIn(t *testing.T) {
	zone := &fstest.MapFile{Data: []byte("TZif2…")}
	database := fstest.MapFS{"UTC": zone, "Europe/Rome": zone, "America/Argentina/Salta": zone, "posix/Europe/Rome": zone, "right/UTC": zone,
		"zone.tab": {Data: []byte("AD\t+4230")}}
	if got, want := zonesIn(database), []string{"America/Argentina/Salta", "Europe/Rome", "UTC"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := zonesIn(fstest.MapFS{}); !slices.Equal(got, []string{"UTC"}) {
		t.Errorf("without a database: %q", got)
	}
}
