package syntax

import (
	"fmt"
	"strings"
)

// Router finds the registered syntax that a statement is written in. Add everything first, then share it freely.
//
// A statement is tried against the syntaxes whose leading keywords it starts with, longest lead first. If none fits, the
// question is whose error it is. The router claims the statement, and reports its own error at the furthest token reached,
//
//   - if the keywords it starts with, as far as they lead, start no statement of the MySQL parser (ADMIN SHOW REPLICA, ALTER SYSTEM), or
//   - if a keyword behind an argument fitted (REPLICA in ALTER DATABASE d REPLICA x).
//
// Otherwise the statement is not ours and goes to the MySQL parser.
type Router struct {
	root leadNode
	ids  map[string]bool
}

// leadNode is one step of the tree of leading keywords.
type leadNode struct {
	next  map[string]*leadNode
	words []string // keys of next in the order added, for messages
	here  []routed // syntaxes whose lead ends here
}

// routed is a registered syntax.
type routed struct {
	id     string
	syntax *Syntax
}

// NewRouter returns an empty router.
func NewRouter() *Router { return &Router{ids: map[string]bool{}} }

// Add registers a syntax under an id. Several syntaxes may share a lead, and one id may have several syntaxes (spellings of
// one statement); the same text twice is refused.
func (r *Router) Add(id string, s *Syntax) error {
	if r.ids[s.text] {
		return fmt.Errorf("register %s: syntax %q is registered already", id, s.text)
	}
	r.ids[s.text] = true
	for _, lead := range s.leads {
		n := &r.root
		for _, w := range lead {
			n = n.child(w)
		}
		n.here = append(n.here, routed{id: id, syntax: s})
	}
	return nil
}

// child returns the node behind a word, made if missing.
func (n *leadNode) child(w string) *leadNode {
	if c := n.next[w]; c != nil {
		return c
	}
	if n.next == nil {
		n.next = map[string]*leadNode{}
	}
	c := &leadNode{}
	n.next[w] = c
	n.words = append(n.words, w)
	return c
}

// Match looks a statement up. ours is false if it belongs to the MySQL parser; otherwise either id and args, or err.
func (r *Router) Match(sql string, mode Mode) (id string, args Args, err error, ours bool) {
	path, words := r.walk(sql, mode)
	if len(path) == 0 {
		return "", Args{}, nil, false
	}
	m := newMatcher(sql, mode)
	claimed := false
	for depth := len(path); depth > 0; depth-- {
		n := path[depth-1]
		mysql := mysqlLeads[strings.Join(words[:depth], " ")]
		if depth == len(path) && len(n.words) > 0 {
			for _, w := range n.words {
				m.fail(depth, w)
			}
			claimed = claimed || !mysql
		}
		for _, cand := range n.here {
			before := m.record
			args, ok := m.try(cand.syntax)
			if ok {
				return cand.id, args, nil, true
			}
			// What a syntax with a shared lead expected says nothing, once another syntax owns the statement.
			if claimed && mysql && !m.anchored {
				m.record = before
			}
			claimed = claimed || !mysql
		}
	}
	if !claimed && !m.anchored {
		return "", Args{}, nil, false
	}
	return "", Args{}, m.err(), true
}

// walk follows the leading keywords as far as they are registered. Most statements leave at the first word, having cost one
// look into a map.
func (r *Router) walk(sql string, mode Mode) (path []*leadNode, words []string) {
	lx := NewLexer(sql, mode)
	var buf [24]byte
	n := &r.root
	for {
		t := lx.Next()
		if t.Kind != Word || t.End-t.Start > len(buf) {
			return path, words
		}
		upper := buf[:t.End-t.Start]
		for i := range upper {
			c := sql[t.Start+i]
			if c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			upper[i] = c
		}
		if n = n.next[string(upper)]; n == nil {
			return path, words
		}
		path, words = append(path, n), append(words, string(upper))
	}
}

// mysqlLeads holds the leads, of one keyword or more, that also start a statement of the MySQL parser: there an error is
// better told by it, unless the rest of the statement could only be ours. MySQL has no ADMIN; what the parser knows of it is another
// server's, and refused.
var mysqlLeads = leadSet(`
ALTER; ALTER DATABASE; ALTER SCHEMA; ALTER TABLE; ALTER USER; ALTER VIEW; ALTER INSTANCE;
ALTER SEQUENCE; ALTER PLACEMENT; ALTER RESOURCE; ANALYZE; ANALYZE TABLE; BACKUP; BACKUP DATABASE; BACKUP SCHEMA; BACKUP TABLE;
BEGIN; CALL; CANCEL; COMMIT; CREATE; CREATE DATABASE; CREATE SCHEMA; CREATE TABLE; CREATE USER; CREATE VIEW; CREATE ROLE;
CREATE INDEX; CREATE PROCEDURE; CREATE SEQUENCE; CREATE RESOURCE; CREATE OR; DEALLOCATE; DELETE; DESC; DESCRIBE; DO; DROP; DROP DATABASE;
DROP SCHEMA; DROP TABLE; DROP USER; DROP VIEW; DROP ROLE; DROP INDEX; DROP PROCEDURE; DROP STATS; DROP RESOURCE; EXECUTE; EXPLAIN;
FLUSH; GRANT; HELP; IMPORT; INSERT; KILL; KILL QUERY; KILL CONNECTION; LOAD; LOAD DATA; LOAD STATS; LOCK; LOCK TABLES; OPTIMIZE; OPTIMIZE TABLE;
PREPARE; RECOVER; RECOVER TABLE; RELEASE; RENAME; RENAME TABLE; RENAME USER; REPLACE; RESTART; RESTORE; RESTORE DATABASE;
RESTORE SCHEMA; RESTORE TABLE; REVOKE; ROLLBACK; SAVEPOINT; SELECT; SET; SET GLOBAL; SET SESSION; SET PERSIST; SET LOCAL;
SHOW; SHOW CREATE; SHOW CREATE TABLE; SHOW FULL; SHOW EXTENDED; SHOW TABLE; SHOW TABLES; SHOW COLUMNS; SHOW DATABASES; SHOW GLOBAL; SHOW SESSION;
SHOW VARIABLES; SHOW STATUS; SHOW REPLICA; SHOW MASTER; SHOW SLAVE; SHOW BINARY; SHOW CONFIG; SHOW INDEX; SHOW INDEXES;
SHOW KEYS; SHOW PROCESSLIST; SHOW FULL PROCESSLIST; SHOW STATS_META; SHOW WARNINGS; SHOW ERRORS; SHOW COUNT; SHOW GRANTS; SHOW PRIVILEGES;
SHOW ENGINES; SHOW COLLATION; SHOW CHARACTER; SHOW CHARSET; SHOW OPEN; SHOW PLUGINS; SHOW PROFILE; SHOW PROFILES; SHOW TRIGGERS; SHOW EVENTS;
SHOW FUNCTION; SHOW PROCEDURE; SHOW BACKUPS; SHOW RESTORES; SHOW PLACEMENT; SHOW IMPORT; SHOW BUILTINS; SHOW FIELDS; SHOW BINDINGS;
SHUTDOWN; SPLIT; SPLIT TABLE; SPLIT REGION; SPLIT PARTITION; START; TABLE; TRACE; TRUNCATE; TRUNCATE TABLE; UNLOCK; UPDATE; USE; VALUES; WITH
`)

// leadSet splits the text of mysqlLeads.
func leadSet(text string) map[string]bool {
	set := map[string]bool{}
	for lead := range strings.SplitSeq(text, ";") {
		set[strings.Join(strings.Fields(lead), " ")] = true
	}
	return set
}
