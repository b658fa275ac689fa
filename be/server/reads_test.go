package server_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"stele/be/clone"
	"stele/be/scan"
	"stele/be/server"
	"stele/proto/bepb"
)

// TestReadsAreNoted: clones give way to whoever reads.
func TestReadsAreNoted(t *testing.T) {
	for name, read := range map[string]func(*server.Server) error{
		"Get":   func(s *server.Server) error { _, err := s.Get(context.Background(), &bepb.GetRequest{}); return err },
		"Fetch": func(s *server.Server) error { _, err := s.Fetch(context.Background(), &bepb.ScanRequest{}); return err },
	} {
		p := clone.NewPressure()
		s := server.New(server.Parts{Scanner: scan.New(nil, nil), Log: slog.New(slog.DiscardHandler), Pressure: p})
		if err := read(s); err == nil {
			t.Fatalf("%s of nothing succeeds", name)
		}
		if !p.Users(time.Now()) {
			t.Errorf("%s is not noted", name)
		}
		if p.Users(time.Now().Add(time.Hour)) {
			t.Errorf("%s is under way for ever", name)
		}
	}
}
