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
