package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"stele/sql/plan"
)

// sourceOf gives a source lines as a client would, and says when all were taken in.
func sourceOf(s *Source, text []byte) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		for len(text) > 0 && err == nil {
			n := min(len(text), 60_000)
			err = s.Receive(text[:n])
			text = text[n:]
		}
		s.Finish(err)
	}()
	return done
}

func linesOf(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "%d %s\n", i, strings.Repeat("x", i%100))
	}
	return b.Bytes()
}

// takeAll takes at most so many pieces.
func takeAll(t *testing.T, s *Source, most int) []byte {
	t.Helper()
	var out []byte
	for range most {
		text, ok, err := s.Take(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if text[len(text)-1] != '\n' {
			t.Fatal("a piece does not end with a line")
		}
		out = append(out, text...)
		s.Release(text)
	}
	return out
}

// TestSourceStartsAnew takes a file several times, each time further than the last, the beginning from memory or from the
// file that it has gone to.
func TestSourceStartsAnew(t *testing.T) {
	want := linesOf(200_000)
	for _, kept := range []int64{keptBytes, 3 << 20, 0} {
		s := NewSource(t.TempDir(), plan.LoadFormat{Field: "\t", Line: "\n", Escape: '\\'})
		s.most = kept
		received := sourceOf(s, want)
		for _, pieces := range []int{0, 1, 5, 12, 1000} {
			got := takeAll(t, s, pieces)
			if !bytes.HasPrefix(want, got) || pieces == 1000 && len(got) != len(want) {
				t.Fatalf("%d kept: %d bytes of %d are not those of the file", kept, len(got), len(want))
			}
			if pieces < 1000 {
				if err := s.Rewind(); err != nil {
					t.Fatal(err)
				}
			}
		}
		<-received
		if spilled := s.size > 0; spilled != (kept < int64(len(want))) {
			t.Fatalf("%d kept: %d bytes are in a file", kept, s.size)
		}
		s.Close()
	}
}

func TestSourceEnds(t *testing.T) {
	format := plan.LoadFormat{Field: "\t", Line: "\n"}
	s := NewSource(t.TempDir(), format)
	received := sourceOf(s, linesOf(200_000))
	takeAll(t, s, 3)
	enough := errors.New("enough")
	s.Stop(enough) // it waits for pieces to be taken: now it must not
	<-received
	if _, _, err := s.Take(context.Background()); !errors.Is(err, enough) {
		t.Fatalf("take after the end: %v", err)
	}
	s = NewSource("/nowhere/at/all", format)
	s.most = 0
	received = sourceOf(s, linesOf(200_000))
	takeAll(t, s, 1000)
	<-received
	if err := s.Rewind(); err == nil {
		t.Fatal("a file that could not be kept was taken again")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := s.Take(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("take by a statement that was cancelled: %v", err)
	}
}
