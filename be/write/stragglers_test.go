package write

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// TestStragglers: who owed an answer for a whole grace is not waited for until one has come within it.
func TestStragglers(t *testing.T) {
	var s stragglers
	now := time.Unix(1000, 0)
	disk, memory := way{"a", 1, false}, way{"a", 1, true}
	other := way{"a", 2, false}
	one := func(w ...way) func(func(way) bool) { return slices.Values(w) }
	steps := []struct {
		name string
		do   func()
		slow []way
	}{
		{"nobody is late", func() {}, nil},
		{"a disk was late", func() { s.late(7, "a", one(disk), now) }, []way{disk}},
		{"its BE has answered from memory", func() { s.heard("a", one(memory), true) }, []way{disk}},
		{"an answer came late", func() { s.heard("a", one(disk), false) }, []way{disk}},
		{"another disk is late in one request", func() { s.late(7, "a", one(disk, other, memory), now) }, []way{disk, memory, other}},
		{"a sign, but late", func() { s.asked("a", nil, stragglerGrace) }, []way{disk, memory, other}},
		{"a sign", func() { s.asked("a", nil, stragglerGrace-1) }, []way{disk, other}},
		{"one disk is well", func() { s.heard("a", one(other), true) }, []way{disk}},
		{"both are", func() { s.heard("a", one(disk), true) }, nil},
		{"memory was late", func() { s.late(7, "a", one(memory), now) }, []way{memory}},
		{"what is on the disk was in memory before", func() { s.heard("a", one(disk), true) }, nil},
	}
	for _, step := range steps {
		step.do()
		for _, w := range []way{disk, memory, other} {
			if got := s.all(one(w)); got != slices.Contains(step.slow, w) {
				t.Fatalf("%s: %v is slow: %v", step.name, w, got)
			}
		}
	}
	if s.some.Load() {
		t.Error("somebody is late")
	}
}

// peerModel is what a BE did: the moments of the calls it owes and whether it is well.
type peerModel struct {
	well   bool
	silent time.Time // since when it has owed a sign, zero = it owes none
	slow   bool      // the last that was heard of its way was an answer that was late, or none
	asked  bool      // a question is under way
}

// TestStragglersProperty plays BEs that hang and come back. A write waits for a BE at most once in each time of silence; whoever has
// answered within the grace is waited for again; who is told to be silent has been so for long enough, and gives a sign soon after it is
// well although no write goes to it.
func TestStragglersProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s stragglers
		now := time.Unix(1000, 0)
		bes := make([]peerModel, 3)
		at := func(i int) string { return fmt.Sprint("be", i) }
		ways := func(i int) func(func(way) bool) { return slices.Values([]way{{at(i), 1, true}}) }
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			i := rapid.IntRange(0, len(bes)-1).Draw(t, "be")
			b := &bes[i]
			switch rapid.SampledFrom([]string{"change", "write", "look", "answer"}).Draw(t, "step") {
			case "change":
				b.well = !b.well
			case "write":
				if got := s.all(ways(i)); got != b.slow {
					t.Fatalf("%s is passed over: %v, want %v", at(i), got, b.slow)
				}
				switch {
				case b.well:
					s.heard(at(i), ways(i), true)
					b.slow, b.silent, b.asked = false, time.Time{}, false
				case !b.slow:
					now = now.Add(stragglerGrace)
					if ask := s.late(types.BEID(i+1), at(i), ways(i), now); ask != b.silent.IsZero() {
						t.Fatalf("%s is asked: %v, silent since %v", at(i), ask, b.silent)
					}
					b.slow = true
					if b.silent.IsZero() {
						b.silent, b.asked = now, true
					}
				}
			case "look":
				now = now.Add(rapid.SampledFrom([]time.Duration{0, 300, 1000, 2500}).Draw(t, "later") * time.Millisecond)
				silent, ask := s.look(now)
				for j := range bes {
					long := !bes[j].silent.IsZero() && now.Sub(bes[j].silent) >= silentLeast
					if told := slices.ContainsFunc(silent, func(p SilentPeer) bool { return p.BE == types.BEID(j+1) }); told != long {
						t.Fatalf("%s is told to be silent: %v, since %v at %v", at(j), told, bes[j].silent, now)
					}
					if again := slices.Contains(ask, at(j)); again != (!bes[j].silent.IsZero() && !bes[j].asked) {
						t.Fatalf("%s is asked again: %v", at(j), again)
					} else if again {
						bes[j].asked = true
					}
				}
			case "answer":
				if !b.asked {
					continue
				}
				if b.asked = false; b.well {
					s.asked(at(i), nil, time.Millisecond)
					b.silent, b.slow = time.Time{}, false
				} else {
					s.asked(at(i), errors.New("no sign"), silentAsk)
				}
			}
		}
	})
}

// TestSilentForever: nobody asks for ever for a BE that is no more.
func TestSilentForever(t *testing.T) {
	var s stragglers
	now := time.Unix(1000, 0)
	s.late(7, "a", slices.Values([]way{{"a", 1, false}}), now)
	if silent, _ := s.look(now.Add(silentMost - 1)); len(silent) != 1 {
		t.Fatal("it is silent")
	}
	if silent, ask := s.look(now.Add(silentMost)); len(silent)+len(ask) > 0 || s.some.Load() {
		t.Fatal("it is still remembered")
	}
}
