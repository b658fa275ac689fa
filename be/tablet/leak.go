package tablet

import (
	"fmt"
	"path/filepath"

	"stele/be/tablet/kv"
)

// findDead estimates how much of the data instance is dead: what the process before has deleted and not reclaimed is in no counter.
// After an unclean start Badger may have forgotten it, too; then all value logs are suspected. Called before anything runs.
func (s *Store) findDead() error {
	if s.opt.offline {
		return nil
	}
	live := int64(0)
	for _, t := range s.tablets {
		live += t.changes.bytes
		for _, r := range t.rowsets {
			live += r.entry.Bytes
		}
	}
	for _, p := range s.partial {
		for _, r := range p.rec.Rowsets {
			for _, g := range r.Groups {
				live += g.Bytes
			}
		}
	}
	dead := max(s.data.Size()-live, 0)
	s.deadBytes.Store(dead)
	if !s.data.Unclean() || !s.reclaimDue() {
		return nil
	}
	known, err := s.data.KnownDead()
	if err != nil || known >= dead/2 {
		return nil // without the statistics nothing is lost but space
	}
	s.log.Info("what the store knew of its dead bytes was lost: all value logs are looked at", "dead_bytes", dead, "known_bytes", known)
	if err := s.data.Close(); err != nil {
		return fmt.Errorf("find dead bytes: %w", err)
	}
	dir := filepath.Join(s.dir, "data")
	if err := kv.SuspectDead(dir); err != nil {
		return fmt.Errorf("find dead bytes: %w", err)
	}
	data, err := s.openData()
	if err != nil {
		return fmt.Errorf("find dead bytes: %w", err)
	}
	s.data = data
	return nil
}
