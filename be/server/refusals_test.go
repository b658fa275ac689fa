package server

import (
	"testing"
	"time"
)

// TestRefusalsAreSaidOnce: what is wrong with heartbeats is said when it is new, and from time to time as long as it lasts.
func TestRefusalsAreSaidOnce(t *testing.T) {
	var r refusals
	now := time.Unix(1000, 0)
	for i, c := range []struct {
		why   string
		later time.Duration
		news  bool
	}{{"a", 0, true}, {"a", time.Second, false}, {"b", time.Second, true}, {"b", sayAgain - 1, false}, {"b", sayAgain, true}} {
		if now = now.Add(c.later); r.news(c.why, now) != c.news {
			t.Errorf("refusal %d is news: %v", i, !c.news)
		}
	}
}
