package gossip

import (
	"encoding/base64"
	"strings"
	"testing"
)

// TestKeys: nodes that share a key hear each other although they encrypt with different ones; without one they do not.
func TestKeys(t *testing.T) {
	old, fresh := []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 16))
	a := startKeys(t, "a", old)
	b := startKeys(t, "b", fresh, old)
	if err := b.Join(a.Addr()); err == nil {
		await(t, b, Joined, "a")
		t.Error("a node that encrypts with a key that the other lacks is heard")
	}
	c := startKeys(t, "c", old, fresh)
	if err := c.Join(a.Addr()); err != nil {
		t.Errorf("the same first key: %v", err)
	}
	d := startKeys(t, "d", fresh, old)
	if err := d.Join(c.Addr()); err != nil {
		t.Errorf("a key that is being replaced: %v", err)
	}
	await(t, c, Joined, "d")
}

func TestParseKeys(t *testing.T) {
	good := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 24)))
	if keys, err := ParseKeys([]string{good, good}); err != nil || len(keys) != 2 || len(keys[0]) != 24 {
		t.Errorf("two keys: %d, %v", len(keys), err)
	}
	for _, bad := range []string{"%%%", base64.StdEncoding.EncodeToString([]byte("short"))} {
		if _, err := ParseKeys([]string{good, bad}); err == nil || !strings.Contains(err.Error(), "gossip key 2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
