package catalog

import (
	"slices"
	"strings"
	"testing"

	"stele/meta/command"
	"stele/meta/model"
	"stele/meta/types"
)

// TestNoteTasks: the newest tasks are kept in the order of their ends, reasons are cut to size, and what has ended is no longer
// tried.
func TestNoteTasks(t *testing.T) {
	c := mustApply(t, New(), &command.InitCluster{ClusterID: "c", FE: FE{Name: "fe"}})
	long := strings.Repeat("é", maxTaskText)
	for n := range MaxTasks / 100 * 3 / 2 {
		cmd := &command.NoteTasks{}
		for i := range 100 {
			id := types.TabletID(1000*n + i)
			cmd.Ended = append(cmd.Ended, Task{Tablet: id, FinishedMs: int64(100*n + i), Err: long})
			cmd.Tried = append(cmd.Tried, Task{Tablet: id + 500, LastSchedMs: int64(n), Attempts: []model.Attempt{{Reason: long}}})
		}
		c = mustApply(t, c, cmd)
		if cmd.Tried[0].Attempts[0].Reason != long {
			t.Fatal("the command was changed")
		}
	}
	ended := slices.Collect(c.Tasks())
	if len(ended) != MaxTasks || ended[0].FinishedMs != MaxTasks/2 || ended[MaxTasks-1].FinishedMs != MaxTasks*3/2-1 {
		t.Fatalf("%d tasks kept, from %d", len(ended), ended[0].FinishedMs)
	}
	if len(ended[0].Err) != maxTaskText || !strings.HasPrefix(long, ended[0].Err) {
		t.Fatalf("reason of %d bytes", len(ended[0].Err))
	}
	tried := slices.Collect(c.Tried())
	if len(tried) != MaxTasks || len(tried[0].Attempts[0].Reason) > maxTaskText || tried[0].LastSchedMs != MaxTasks/200 {
		t.Fatalf("%d tried, the first %+v", len(tried), tried[0])
	}
	gone := tried[0].Tablet
	c = mustApply(t, c, &command.NoteTasks{Ended: []Task{{Tablet: gone}}})
	if tried = slices.Collect(c.Tried()); tried[0].Tablet == gone {
		t.Fatal("an ended task is still tried")
	}
}

func TestCheckLocation(t *testing.T) {
	for text, ok := range map[string]bool{"": true, "rack:r1": true, "zone:eu-1.b_2": true, "rack": false, ":": false, "rack:": false, ":r1": false,
		"rack:r 1": false, "a:b:c": false, "k:" + strings.Repeat("x", maxLocation): false} {
		if err := CheckLocation(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func mustApply(t *testing.T, c *Catalog, cmd command.Command) *Catalog {
	t.Helper()
	next, _, err := Apply(c, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return next
}
