package operate_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"stele/fe/stmt/stmttest"
	"stele/meta/catalog"
	"stele/meta/command"
)

// refusals are the codes of the verbs' home that a user can meet, with their texts; why says where one cannot come up here.
var refusals = []struct{ code, text, why string }{
	{"100", "table does not exist", ""},
	{"101", "", "table exists: loadtable finds the table loaded always, and says where"},
	{"102", "table is leader", ""},
	{"134", "no follower", ""},
	{"136", "op does not exist", ""},
	{"300", "", "not the leader nameserver: every FE passes the verbs on to the one that leads"},
	{"301", "auto_failover is enabled", ""},
	{"302", "endpoint does not exist", ""},
	{"303", "tablet is not healthy", ""},
	{"304", "", "there is no ZooKeeper: what cannot be written is 305"},
	{"305", "", "create op failed: TestOrderThatCannotBeKept"},
	{"306", "", "an op is created and stored in one step: 305"},
	{"307", "invalid parameter", ""},
	{"308", "pid does not exist", ""},
	{"309", "leader is alive", ""},
	{"310", "no alive follower", ""},
	{"311", "partition is alive", ""},
	{"312", "op status is not kDoing or kInited", ""},
	{"317", "pid already exists", ""},
	{"318", "endpoint does not exist", ""},
	{"318", "tablet is not healthy", ""},
	{"319", "endpoint does not exist", ""},
	{"319", "tablet is not healthy", ""},
	{"320", "leader endpoint is empty", ""},
	{"320", "the replica is leader", ""},
	{"320", "leader is offline", ""},
	{"320", "the source has no such partition", ""},
	{"320", "the target has the partition already", ""},
	{"321", "no pid has updated", ""},
	{"334", "op already exists", ""},
}

// TestEveryRefusal has each code come up in a golden file, with its text.
func TestEveryRefusal(t *testing.T) {
	text, err := os.ReadFile("testdata/refusals.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refusals {
		found := false
		for line := range strings.Lines(string(text)) {
			found = found || strings.HasPrefix(line, "ERROR "+r.code+" (HY000): ") && strings.Contains(line, r.text)
		}
		if found != (r.why == "") {
			t.Errorf("%s %q: found %v, %s", r.code, r.text, found, r.why)
		}
	}
}

// fullLog refuses everything, as the catalog does when no more ops fit.
type fullLog struct{ *stmttest.World }

func (fullLog) Propose(context.Context, ...command.Command) ([]catalog.Result, error) {
	return nil, errors.New("10000 operations wait already")
}

func TestOrderThatCannotBeKept(t *testing.T) {
	w := stmttest.ShopWorld(t)
	stmttest.MustRun(t, w, "confset auto_failover false")
	e := w.Env()
	e.Log = fullLog{w}
	r, err := stmttest.Run(e, stmttest.Parser(t), "offlineendpoint 10.0.1.1:9050")
	if got := stmttest.Print(r, err); got != "ERROR 305 (HY000): create op failed: 10000 operations wait already\n" {
		t.Error(got)
	}
}
