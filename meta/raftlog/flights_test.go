package raftlog

import "testing"

// TestNextFollows: an entry follows the one before when it is stored, or when the state machine has it if nobody else has to take it in.
func TestNextFollows(t *testing.T) {
	for name, c := range map[string]struct {
		alone bool
		event func(*flights)
		free  bool
	}{
		"stored beside followers":   {false, (*flights).entryStored, true},
		"applied beside followers":  {false, (*flights).free, true},
		"stored alone":              {true, (*flights).entryStored, false},
		"applied alone":             {true, (*flights).free, true},
		"ended alone, never stored": {true, func(f *flights) { f.landed(f.list[0].data, ErrBusy) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlights()
			f.slots <- struct{}{}
			p := &proposal{encoded: [][]byte{{1}}, done: make(chan outcome, 1)}
			f.begin([]byte{1}, []*proposal{p}, c.alone)
			if !f.storing.Load() {
				t.Fatal("the next entry may follow at once")
			}
			c.event(&f)
			if free := !f.storing.Load(); free != c.free {
				t.Errorf("the next entry may follow: %v, want %v", free, c.free)
			}
			select {
			case <-f.stored:
				if !c.free {
					t.Error("woken in vain")
				}
			default:
				if c.free {
					t.Error("nobody was woken")
				}
			}
		})
	}
}

// TestOlderEndsLater: that an entry has ended says nothing of the one behind it, which Raft may still be storing.
func TestOlderEndsLater(t *testing.T) {
	f := newFlights()
	for i := range byte(2) {
		f.slots <- struct{}{}
		f.begin([]byte{i}, nil, true)
		if i == 0 {
			f.free() // the state machine begins with it
		}
	}
	f.landed(f.list[0].data, nil)
	if !f.storing.Load() {
		t.Error("a third entry may follow before the second is stored")
	}
}
