//go:build clients

package clients

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// shown is what a browser has on the page when its scripts have had some seconds.
func shown(ctx context.Context, t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=6000", "--dump-dom", url).Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return string(out)
}

// A browser shows the cluster at a glance, also when a backend is down, and any system table.
func TestConsole(t *testing.T) {
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip(ErrMissing)
	}
	ctx := t.Context()
	c := cluster.Start(t, cluster.Options{Backends: 3})
	frontends, err := cluster.ReadTable(ctx, c.DB(), "SHOW FRONTENDS")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"CREATE DATABASE `a<b`", "CREATE TABLE `a<b`.t (id INT PRIMARY KEY)", "INSERT INTO `a<b`.t VALUES (1)"} {
		if _, err := c.DB().ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	url := "http://127.0.0.1:" + frontends.Column("HttpPort")[0] + "/"
	has := func(page string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q:\n%s", want, page)
			}
		}
	}
	has(shown(ctx, t, url), "<b>1 / 1</b><span class=\"dim\">frontends alive</span>", "<b>3 / 3</b><span class=\"dim\">backends alive</span>",
		"<b>3 / 3</b><span class=\"dim\">tablets healthy</span>", "a&lt;b", "LEADER", "as of ", "<option value=\"stele/replica_status\">stele.replica_status</option>")
	if err := c.Kill("be2"); err != nil {
		t.Fatal(err)
	}
	c.WaitAlive(t, "be2", false, time.Minute)
	has(shown(ctx, t, url), "<div class=\"tile bad\"><b>2 / 3</b><span class=\"dim\">backends alive</span>", "<span class=\"bad\">down</span>")
}
