package session

import (
	"errors"
	"testing"

	"stele/fe/txn"
	"stele/meta/contain"
)

// TestLandGivesAPanic: who waits for a write gets its panic as an error, and the next write is as ever.
func TestLandGivesAPanic(t *testing.T) {
	var f flight
	f.begin(func() (txn.Counts, error) { panic("BUG: a write") })
	var p *contain.Panic
	if _, err := f.land(); !errors.As(err, &p) {
		t.Errorf("landed with %v", err)
	}
	f.begin(func() (txn.Counts, error) { return txn.Counts{Inserted: 2}, nil })
	if counts, err := f.land(); err != nil || counts.Inserted != 2 {
		t.Errorf("landed with %+v, %v", counts, err)
	}
}
