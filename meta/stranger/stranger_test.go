package stranger

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestBookCountsLogsOnceAndForgets(t *testing.T) {
	var text bytes.Buffer
	now := time.Unix(1000, 0)
	b := New(slog.New(slog.NewTextHandler(&text, nil)))
	b.now = func() time.Time { return now }
	for range 5 {
		b.Note(ViaRaft, "10.0.0.1", "other", "wants to append")
		now = now.Add(time.Second)
	}
	got := b.List()
	if len(got) != 1 || got[0].Count != 5 || got[0].Cluster != "other" || got[0].Last.Sub(got[0].First) != 4*time.Second {
		t.Fatalf("five meetings with one stranger: %+v", got)
	}
	if n := strings.Count(text.String(), "another cluster was refused"); n != 1 {
		t.Errorf("the log tells of it %d times within a minute, want once:\n%s", n, text.String())
	}
	now = now.Add(forgetAfter)
	if got := b.List(); len(got) != 0 {
		t.Errorf("still remembered after %v: %+v", forgetAfter, got)
	}
}

func TestBookIsBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	b := New(slog.New(slog.DiscardHandler))
	b.now = func() time.Time { return now }
	for i := range 10 * maxKept {
		now = now.Add(time.Millisecond)
		b.Note(ViaRPC, fmt.Sprintf("10.0.%d.%d", i/256, i%256), "x", "")
	}
	got := b.List()
	if len(got) != maxKept {
		t.Fatalf("%d kept, want %d", len(got), maxKept)
	}
	for _, s := range got {
		if s.Last.Before(now.Add(-maxKept * time.Millisecond)) {
			t.Errorf("%s was met %v ago: the oldest are to go first", s.Address, now.Sub(s.Last))
		}
	}
}

func TestNilBook(t *testing.T) {
	var b *Book
	b.Note(ViaDisk, "x", "y", "z")
	if b.List() != nil {
		t.Error("a nil book remembers")
	}
}
