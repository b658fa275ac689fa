package arch

import (
	"strings"
)

// layer says which packages of this module a package may import. Patterns are paths below the module; `x/...` means x
// and everything below it, "." is the root. The most specific pattern that matches a package decides for it.
type layer struct {
	pkg    string
	may    string // patterns separated by blanks
	reason string
}

// layers is the import lattice. Do not change it to fix a build: a missing line here means a type in the wrong place.
var layers = []layer{
	{".", "fe be be/tool fe/metatool fe/local fe/console conf conf/cmdline", "main chooses a subcommand and knows nothing of their insides"},
	{"tests/...", "...", "tests may look at everything"},

	{"proto/...", "proto/...", "the wire knows nothing of the code at its ends"},
	{"conf", "", "configuration is a leaf, so that every package may be configured"},

	{"conf/cmdline", "", "the flags of all subcommands look alike"},

	{"meta/types", "", "plain values that all layers share"},
	{"meta/model", "meta/types", "the records of the catalog, which commands carry"},
	{"meta/command/...", "meta/types meta/model meta/command/canon proto/...", "old log entries must decode whatever else changes"},
	{"meta/catalog/...", "meta/types meta/model meta/command/...", "pure: the same commands give the same catalog on every FE"},
	{"meta/contain", "", "a panic may be contained anywhere"},
	{"meta/journal", "", "how a log becomes durable is the same below Raft and below a disk"},
	{"meta/stranger", "meta/types", "who meets a stranger has refused it already"},
	{"meta/gossip", "meta/types conf", "membership is told to others, it asks nobody"},
	{"meta/rpc/...", "meta/types meta/process/clocktest meta/rpc/rpctest conf proto/...", "dialing and cluster id checks are the same for all callees"},
	{"meta/raftlog", "meta/... conf proto/...", "glue between Raft and the catalog"},
	{"meta/...", "meta/... conf proto/...", "metadata is below SQL, FE and BE"},

	{"sql/errno", "", "what a client may be told is a leaf, so that every layer tells it alike"},
	{"sql/syntax", "meta/types sql/errno", "the grammar engine serves tools without a planner"},
	{"sql/vec", "meta/types", "columns and batches are below values and expressions"},
	{"sql/types", "meta/types sql/vec sql/errno", "SQL types are values"},
	{"sql/collation", "meta/types", "how texts compare: pure, for functions and for unique keys"},
	{"sql/fulltext", "meta/types sql/collation", "what MATCH finds: pure, for functions"},
	{"sql/keyset", "", "sets of keys as bytes: pure, for joins and for filters"},
	{"sql/fn/...", "meta/types sql/errno sql/types sql/vec sql/collation sql/fulltext sql/keyset", "kernels work on columns only"},
	{"sql/expr/...", "meta/types sql/errno sql/types sql/vec sql/keyset sql/fn/... sql/expr/...", "expressions run on FE and BE alike"},
	{"sql/parse/...", "meta/types sql/errno sql/types sql/syntax sql/parse/...", "text to syntax tree, nothing is resolved here"},
	{"sql/define", "meta/types meta/catalog sql/errno sql/expr sql/parse sql/plan sql/syntax sql/types sql/vec", "what a table is: it asks the planner what expressions mean, and runs nothing"},
	{"sql/physical", "meta/types sql/expr sql/fn", "the plan as plain data, so that a BE needs neither planner nor catalog"},
	{"sql/explain", "meta/types sql/expr sql/physical", "a plan is shown as the data that it is, by whoever has one"},
	{"sql/exec/...", "meta/types sql/errno sql/types sql/vec sql/keyset sql/fn/... sql/expr/... sql/physical sql/exec/...", "operators run on FE and BE alike"},
	{"sql/spool", "meta/types meta/contain sql/vec sql/exec", "answers of other nodes are kept aside alike on FE and BE"},
	{"sql/rowset/...", "meta/types meta/contain sql/vec sql/collation sql/rowset/...", "rows as replicas store them: a form alone, which an FE makes of a load and a BE keeps"},
	{"sql/...", "sql/... meta/types meta/catalog/... proto/...", "SQL never knows where it runs: no fe, no be, no raftlog, no conf"},

	{"fe/sched/...", "meta/types fe/sched/...", "pure: the simulator runs the same code over a virtual world"},
	{"fe/account", "meta/types sql/errno meta/model sql/parse sql/syntax sql/types", "pure: what an account may do follows from its grants and the statement"},
	{"fe/lease", "", "whoever holds something may lose it by the same rules"},
	{"fe/local", "conf conf/cmdline sql/errno sql/syntax", "it knows nodes only from outside, as an operator does"},
	{"fe/metatool", "conf/cmdline meta/...", "it looks at the metadata of an FE that is not running"},
	{"fe/console", "conf conf/cmdline sql/syntax", "it knows Stele only through the MySQL protocol"},
	{"fe/web", "sql/errno", "what it shows it reads as any client does"},
	{"fe/beclient", "meta/... conf proto/... sql/...", "connections to BEs decide nothing"},
	{"fe/cluster", "meta/... conf proto/... fe/beclient fe/fakecluster", "heartbeats and reports become events, they decide nothing"},
	{"fe/tabletctl/...", "meta/... conf proto/... sql/... fe/sched/... fe/ops fe/beclient fe/cluster fe/tabletctl/...", "the driver is below statements"},
	{"fe/ops", "meta/types meta/model meta/command meta/catalog", "pure: what an op does next follows from its record and the facts"},
	{"fe/opctl", "meta/... conf proto/... fe/ops fe/sched fe/beclient fe/cluster fe/fakecluster", "the driver of ops is below statements and beside that of tablets"},
	{"fe/stmt", "meta/... conf proto/... sql/... fe/account fe/cluster fe/consistency fe/group fe/sched fe/tabletctl",
		"what declarations are written with knows none of them"},
	{"fe/stmt/mysql", "meta/... conf proto/... sql/... fe/account fe/stmt fe/stmt/stmttest", "what MySQL's clients ask is no matter of operators"},
	{"fe/stmt/admin", "meta/... conf proto/... sql/... fe/account fe/beclient fe/cluster fe/consistency fe/metatool fe/sched fe/tabletctl fe/stmt fe/stmt/stmttest",
		"the tree and the verbs show and call what is here, never the reverse"},
	{"fe/stmt/proc", "meta/... conf proto/... sql/... fe/cluster fe/sched fe/tabletctl fe/stmt fe/stmt/admin fe/stmt/stmttest", "the tree orders nothing"},
	{"fe/session/load", "meta/types meta/contain fe/txn sql/errno sql/plan sql/rowset/groups sql/types sql/vec", "both ends of a load know nothing of the statement between them"},
	{"fe/session/sequences", "meta/types meta/catalog meta/command fe/txn fe/fakecluster", "numbers of tables, whoever gives them to rows"},
	{"fe/session/vars", "meta/types conf fe/stmt sql/define sql/errno sql/expr sql/plan sql/syntax sql/types", "a variable is a declaration and values: what a session does by it is the session's"},
	{"fe/server/...", "meta/... conf proto/... sql/... fe/...", "the protocol edge"},
	{"fe/...", "meta/... conf proto/... sql/... fe/...", "an FE reaches a BE by RPC only"},

	{"be/tablet/...", "meta/types meta/contain meta/journal conf proto/... be/tablet/... sql/types sql/vec sql/collation sql/rowset/... sql/expr/...", "the store is below clones, scans and writes"},
	{"be/tablet/kv/...", "meta/journal be/tablet/kv/...", "values under keys, durable: what a tablet is it does not know"},
	{"be/tablet/memtable", "meta/types sql/vec sql/rowset", "rows in memory, of which nothing is stored"},
	{"be/tablet/deletes", "meta/types", "positions and versions alone"},
	{"be/tablet/recent", "meta/types", "hashes and versions alone"},
	{"be/tablet/rowhash", "meta/types sql/vec", "pure: a row has the same hash on every replica"},
	{"be/tablet/sought", "meta/types sql/vec sql/rowset sql/expr", "pure: what predicates say of values"},
	{"be/tablet/space", "", "room is room, whatever takes it"},
	{"be/tablet/wire", "meta/types sql/vec sql/rowset/...", "pure: a payload is the same on every replica"},
	{"be/tool", "conf/cmdline meta/types be/tablet/... sql/types sql/vec", "it looks at the disk of a BE that is not running"},
	{"be/...", "meta/types meta/contain meta/journal meta/gossip meta/rpc meta/stranger meta/logfile meta/debug meta/process conf proto/... be/... sql/errno sql/types sql/vec sql/rowset/... sql/fn/... sql/expr/... sql/exec/... sql/physical sql/collation sql/spool",
		"a BE obeys: it never sees fe, the catalog or Raft"},
}

// home confines a dependency to some packages.
type home struct {
	dep    string // import path prefix
	in     string // patterns separated by blanks
	reason string
}

var homes = []home{
	{"github.com/dgraph-io/badger", "be/tablet/kv", "a narrow store interface keeps the door open for another engine"},
	{"github.com/hashicorp/raft", "meta/raftlog", "one place decides what is committed"},
	{"github.com/hashicorp/raft-wal", "meta/raftlog", "one place decides what is committed"},
	{"github.com/hashicorp/memberlist", "meta/gossip", "gossip informs, it never decides"},
	{"github.com/pingcap/tidb", "sql/parse/... fe/server", "our own tree shields the planner from the parser's changes"},
	{"github.com/go-mysql-org/go-mysql", "fe/server/... tests/...", "its panics and gaps are contained at the protocol edge; tests are clients"},
	{"github.com/go-sql-driver/mysql", "fe/local fe/console fe/web fe/server tests/...", "Stele talks MySQL to itself only as a user would"},
	{"github.com/chzyer/readline", "fe/console", "only the prompt has a terminal"},
	{"google.golang.org/grpc", "proto/... fe/beclient fe/server/... fe/rpc fe/fakecluster be/server/... be/peer fe/tabletctl meta/raftlog meta/rpc tests/...",
		"proto types stop at the edges, behind one dial helper"},
}

// purity forbids imports to packages that must compute the same everywhere. Entries are import path prefixes.
type purity struct {
	pkg     string
	forbids string
	reason  string
}

var purities = []purity{
	{"fe/sched/...", "context crypto/rand io log net os runtime sync syscall unsafe",
		"no clock, network, goroutine, lock or logger: same input, same decision"},
	{"fe/ops", "context crypto/rand io log net os runtime sync syscall time unsafe", "no clock, network or lock: the same record and facts, the same step"},
	{"meta/catalog/...", "context crypto/rand log math/rand net os runtime sync syscall unsafe",
		"replaying the log must give the same catalog on every FE"},
	{"meta/types", "context log math/rand net os sync syscall unsafe", "plain values"},
}

// deterministic lists the packages whose code must not depend on goroutines, the clock or the order of a map.
var deterministic = []string{"meta/types", "meta/command/...", "meta/catalog/...", "fe/sched/...", "fe/ops", "sql/plan/...", "sql/define", "sql/explain"}

// matches says whether a package path below the module matches one pattern.
func matches(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if stem, tree := strings.CutSuffix(pattern, "/..."); tree {
		return pkg == stem || strings.HasPrefix(pkg, stem+"/")
	}
	return pattern == pkg
}

func matchesAny(patterns, pkg string) bool {
	for pattern := range strings.FieldsSeq(patterns) {
		if matches(pattern, pkg) {
			return true
		}
	}
	return false
}

// layerOf returns the most specific layer for a package.
func layerOf(pkg string) (layer, bool) {
	var best layer
	found := false
	for _, l := range layers {
		if matches(l.pkg, pkg) && (!found || specificity(l.pkg) > specificity(best.pkg)) {
			best, found = l, true
		}
	}
	return best, found
}

// specificity orders patterns: a longer stem wins, an exact path wins over a tree of the same stem.
func specificity(pattern string) int {
	if stem, tree := strings.CutSuffix(pattern, "/..."); tree {
		return 2 * len(stem)
	}
	return 2*len(pattern) + 1
}

// below says whether an import path is the prefix or lies below it.
func below(prefix, path string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}
