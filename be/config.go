package be

import (
	"log/slog"
	"sync"

	"stele/conf"
	"stele/proto/bepb"
)

// settings are the configuration of a running backend: what be.conf says, and over it what the cluster has set for all
// backends, which every heartbeat repeats. So a change reaches a backend that was away, and one that is taken back ends.
type settings struct {
	*conf.Live
	file *conf.Values
	log  *slog.Logger

	mu    sync.Mutex
	given map[string]string // by the cluster, as it was last
}

func newSettings(v *conf.Values, log *slog.Logger) *settings {
	return &settings{Live: conf.NewLive(v), file: v, log: log, given: map[string]string{}}
}

// take brings the configuration in line with what a heartbeat says.
func (s *settings) take(items []*bepb.ConfigItem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := make(map[string]string, len(items))
	for _, it := range items {
		now[it.Key] = it.Value
		if before, ok := s.given[it.Key]; !ok || before != it.Value {
			s.set(it.Key, it.Value)
		}
	}
	for key := range s.given {
		if spec, known := conf.BE.Lookup(key); known && !has(now, key) {
			s.set(key, s.file.Text(spec))
		}
	}
	s.given = now
}

func has(m map[string]string, key string) bool {
	_, ok := m[key]
	return ok
}

func (s *settings) set(key, value string) {
	if _, err := s.Set(key, value); err != nil {
		s.log.Error("configuration from the cluster is not taken", "key", key, "value", value, "err", err)
		return
	}
	s.log.Info("configuration changed", "key", key, "value", value)
}

// items are all items with their values, for the FE to show.
func (s *settings) items() []*bepb.ConfigItem {
	v := s.Load()
	var out []*bepb.ConfigItem
	for _, spec := range conf.BE.All() {
		out = append(out, &bepb.ConfigItem{Key: spec.Key, Value: v.Shown(spec), Type: string(spec.Type), Default: spec.Default,
			Mutable: spec.Mutable, Comment: spec.Comment(), Aliases: spec.AliasNames()})
	}
	return out
}
