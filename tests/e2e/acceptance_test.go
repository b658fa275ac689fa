package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// acceptance says where each acceptance check of "Leaders and recovery by hand" is proved with real processes. A name after
// a slash is a step of the test.
var acceptance = []struct{ check, what, proof string }{
	{"A1", "kill -9 of one of three BEs under load: writes resume within 0.5 s, 3 s when it hangs; nothing acknowledged is lost",
		"TestAutomaticMode/writes resume after a crash"},
	{"A1", "the same, for a process that hangs", "TestAutomaticMode/writes resume after a hang"},
	{"A1", "1, 2 and 3 of 3 BEs down, 1 to 3 replicas: lost rows are counted", "TestAvailabilityTable"},
	{"A2", "a restarted BE gets what it missed and nothing else", "TestAutomaticMode/what was missed comes incrementally"},
	{"A2", "the same when the guard restarts it", "TestNothingLeft/the guard restarts what died, and nothing is copied for it"},
	{"A2", "its leaders come back by themselves", "TestAutomaticMode/leaders come back by themselves"},
	{"A3", "a wiped BE gets everything back by one statement, and a second one finds nothing to do", "TestOrders/a wiped backend is recovered"},
	{"A4", "leaders are even after a rolling restart, and a second balance moves nothing", "TestAutomaticMode/leaders are even after a rolling restart"},
	{"A5", "an FE comes back on a blank disk at its old address: the others go on, and name it", "TestOpsSurviveLeader"},
	{"A6", "ALTER DATABASE … REPLICA answers at once and writes keep their rate", "TestOrders/replicas of a database"},
	{"A7", "refusals with auto_failover on; the printed session with it off", "TestPrintedSessions"},
	{"A8", "all nodes stop at once: service is back without a command", "TestFrontendKilled"},
	{"A8", "and with RECOVER DATA in manual mode", "TestManualMode/a total outage is over with one statement"},
	{"A9", "changeleader: 309 while the leader is alive, auto, recovertable for the old one", "TestPrintedSessions"},
	{"A9", "and under writes", "TestManualMode/changeleader loses nothing"},
	{"A10", "a running copy is cancelled and leaves nothing", "TestOrders/a running copy is cancelled"},
	{"A11", "the leading FE of three is killed in the middle of recoverendpoint", "TestOpsSurviveLeader"},
	{"A12", "KILL TRANSACTION of a redistribution that waits for a dead node", "TestOrders/a redistribution to a dead node is killed"},
}

// TestAcceptanceTable keeps the table true: every check is there, and every test and step that it names.
func TestAcceptanceTable(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	must(t, err)
	var all strings.Builder
	for _, path := range files {
		if path == "acceptance_test.go" {
			continue
		}
		text, err := os.ReadFile(path)
		must(t, err)
		all.Write(text)
	}
	proved := map[string]bool{}
	for _, a := range acceptance {
		test, step, stepped := strings.Cut(a.proof, "/")
		if !strings.Contains(all.String(), "func "+test+"(t *testing.T)") || stepped && !strings.Contains(all.String(), `"`+step+`"`) {
			t.Errorf("%s: there is no %s", a.check, a.proof)
		}
		proved[a.check] = true
	}
	for _, check := range []string{"A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11", "A12"} {
		if !proved[check] {
			t.Errorf("%s is proved nowhere", check)
		}
	}
}
