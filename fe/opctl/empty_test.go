package opctl

import (
	"testing"

	"stele/fe/ops"
	"stele/meta/catalog"
	"stele/meta/command"
)

// emptied lists the ops that make a tablet empty.
func (s *stage) emptied() (list []*catalog.Op) {
	for op := range s.c.Log.Current().Ops() {
		if op.Type == ops.MakeEmpty {
			list = append(list, op)
		}
	}
	return list
}

// TestRecoverEmpty: a tablet goes on empty when nothing of it can come back, and only when that was asked for. A BE that is
// silent may have all of it.
func TestRecoverEmpty(t *testing.T) {
	s := newStage(t)
	id := s.c.Tablets[0]
	tick := func() { s.clock = s.clock.Add(2 * emptyPause); s.rounds(1) }
	s.empty = true
	tick()
	for i, be := range s.c.BEs {
		if list := s.emptied(); len(list) != 0 {
			t.Fatalf("%d replicas are left, and the tablet is made empty: %+v", 3-i, list[0])
		}
		if i == 0 {
			s.lost[be.ID] = true
		} else {
			s.c.Log.Must(s, &command.SetReplicaBad{Tablet: id, BE: be.ID, Bad: true})
		}
		if i == len(s.c.BEs)-1 {
			s.empty = false // nobody has asked for it
			tick()
			if list := s.emptied(); len(list) != 0 {
				t.Fatalf("nobody asked, and the tablet is made empty: %+v", list[0])
			}
			s.empty = true
		}
		tick()
	}
	list := s.emptied()
	if len(list) != 1 || list[0].Tablet != id || list[0].Owner != emptyOwner || list[0].Replica == 0 {
		t.Fatalf("ordered: %+v", list)
	}
	tick()
	tick()
	if again := s.emptied(); len(again) != 1 {
		t.Errorf("it was ordered %d times", len(again))
	}
}

// TestSilentIsNotLost: a dead BE that nobody has dropped may come back with everything.
func TestSilentIsNotLost(t *testing.T) {
	s := newStage(t)
	s.empty = true
	for _, be := range s.c.BEs[1:] {
		s.lost[be.ID] = true
	}
	s.c.SetAlive(s.c.BEs[0].ID, false)
	for range 5 {
		s.clock = s.clock.Add(2 * emptyPause)
		s.rounds(1)
	}
	if list := s.emptied(); len(list) != 0 {
		t.Fatalf("a silent backend counts as lost: %+v", list[0])
	}
}
