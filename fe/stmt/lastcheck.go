package stmt

import (
	"iter"
	"time"

	"stele/meta/catalog"
)

// LastCheck is when replicas of one of some tablets were last compared by their rows, as far as the leading FE remembers; zero without any.
func LastCheck(e *Env, tablets iter.Seq[*catalog.Tablet]) (last time.Time) {
	if e.Checker == nil {
		return last
	}
	for tab := range tablets {
		if r, ok := e.Checker.Last(tab.ID); ok && r.At.After(last) {
			last = r.At
		}
	}
	return last
}

// LastTableCheck is LastCheck of a table with its unique keys.
func LastTableCheck(e *Env, t *catalog.Table) time.Time {
	last := LastCheck(e, e.Catalog.TabletsOfTable(t))
	for index := range e.Catalog.KeyTables(t) {
		if at := LastCheck(e, e.Catalog.TabletsOfTable(index)); at.After(last) {
			last = at
		}
	}
	return last
}
