// Package histories tells whether one order of events explains what the clients of a database have seen, when it promises snapshot
// isolation or READ COMMITTED.
//
// What clients write are lists: an append has a value that nobody else appends, so each read of a list tells whose appends it saw and in
// which order. Every transaction has a moment at which it is committed, and each state that it reads was taken at a moment. What it read says
// which of these moments came before which others, and so do the times at which clients asked and heard. The history holds if nothing comes before
// itself: lost updates, reads of two states, reads of what is not committed yet and reads of what is old are all circles. Write skew is none,
// as in snapshot isolation.
//
// The package also has the clients (Load), which work on tables of several tablets by every way that Stele has to read and write a row.
//
// It owns no process and no data; Check is a pure function.
package histories

import (
	"fmt"
	"slices"
	"time"
)

// Outcome is what a client knows of its transaction.
type Outcome int

const (
	Unknown   Outcome = iota // the answer to COMMIT was lost: it may be there
	Committed                // acknowledged
	Undone                   // refused, rolled back, or no COMMIT was ever sent
)

// Op is one append or one read. An append that was undone alone (ROLLBACK TO) is left out.
type Op struct {
	Key    string
	By     string   // the statement, for reports
	Append string   // the value; "" = a read
	Saw    []string // what a read saw, with the appends of its own transaction
	State  int      // of the states that the transaction has read, which; an append has found its list in one, too
}

// Transaction is what one client did at once.
type Transaction struct {
	Client  int
	Level   string // for reports
	Ops     []Op
	States  []Span // when each state was taken at the earliest and at the latest
	Commit  Span   // when it was committed, if it was
	Outcome Outcome
}

// Span is from when a client asked to when it heard, since the history began. A transaction whose answer was lost has Forever.
type Span struct{ Asked, Heard time.Duration }

// Forever is the end of a span that nobody saw.
const Forever = time.Duration(1) << 60

func (t *Transaction) String() string { return t.tell(func(string) bool { return true }) }

// about tells what a transaction did with one list.
func (t *Transaction) about(key string) string {
	return t.tell(func(other string) bool { return other == key })
}

func (t *Transaction) tell(which func(key string) bool) string {
	out := fmt.Sprintf("client %d, %s, commit %v", t.Client, t.Level, t.Commit)
	for _, op := range t.Ops {
		switch {
		case !which(op.Key):
		case op.Append != "":
			out += fmt.Sprintf("\n    appends %s to %s in %v: %s", op.Append, op.Key, t.States[op.State], op.By)
		default:
			out += fmt.Sprintf("\n    sees %s as %v in %v: %s", op.Key, op.Saw, t.States[op.State], op.By)
		}
	}
	return out
}

func (s Span) String() string {
	if s.Heard == Forever {
		return fmt.Sprintf("[%v …]", s.Asked.Round(time.Microsecond))
	}
	return fmt.Sprintf("[%v %v]", s.Asked.Round(time.Microsecond), s.Heard.Round(time.Microsecond))
}

// history is what Check works on.
type history struct {
	txns   []*Transaction
	writer map[string]int      // who appended a value
	lists  map[string][]string // the longest list by key
	place  map[string]int      // of a value in its list
	broken []string
}

// Check returns what no order explains, empty = the history holds. The last transactions have to read every list, so that what was
// acknowledged is known to be there.
func Check(txns []*Transaction) []string {
	h := &history{txns: txns, writer: map[string]int{}, lists: map[string][]string{}, place: map[string]int{}}
	for n, t := range txns {
		for _, op := range t.Ops {
			if op.Append != "" {
				h.writer[op.Append] = n
			}
		}
	}
	for _, t := range txns {
		h.reads(t)
	}
	h.order()
	for n, t := range txns {
		h.whole(n, t)
	}
	if len(h.broken) == 0 { // a circle says little more where lists contradict each other
		h.broken = circles(h)
	}
	return h.broken
}

func (h *history) breaks(format string, args ...any) {
	h.broken = append(h.broken, fmt.Sprintf(format, args...))
}

// own are the appends to a list that a transaction had made before one of its operations.
func own(t *Transaction, upTo int, key string) (values []string) {
	for _, op := range t.Ops[:upTo] {
		if op.Key == key && op.Append != "" {
			values = append(values, op.Append)
		}
	}
	return values
}

// others is what a read saw of other transactions: its end has to be what its own has appended.
func (h *history) others(t *Transaction, n int) []string {
	op := t.Ops[n]
	mine := own(t, n, op.Key)
	before := len(op.Saw) - len(mine)
	if before < 0 || !slices.Equal(op.Saw[before:], mine) {
		h.breaks("a transaction has appended %v to %s and sees %v: %v", mine, op.Key, op.Saw, t)
		return nil
	}
	return op.Saw[:before]
}

// reads holds the lists that a transaction saw against the longest ones.
func (h *history) reads(t *Transaction) {
	for n, op := range t.Ops {
		if op.Append != "" {
			continue
		}
		saw := h.others(t, n)
		longest := h.lists[op.Key]
		common := min(len(saw), len(longest))
		if !slices.Equal(saw[:common], longest[:common]) {
			h.breaks("%s is %v for one and %v for another: %s%s", op.Key, longest, saw, t.about(op.Key), h.written(op.Key, longest[common-1], saw[common-1]))
			continue
		}
		if len(saw) > len(longest) {
			h.lists[op.Key] = saw
		}
	}
}

// order takes the order of the appends from the longest lists.
func (h *history) order() {
	for key, list := range h.lists {
		for n, value := range list {
			if _, known := h.writer[value]; !known {
				h.breaks("%s has %s, which nobody has appended", key, value)
			}
			if _, twice := h.place[value]; twice {
				h.breaks("%s has %s twice, or another list has it: %v", key, value, list)
			}
			h.place[value] = n
		}
	}
}

// whole looks whether the appends of a transaction are there all or none, as its client was told.
func (h *history) whole(n int, t *Transaction) {
	there, all := 0, 0
	for _, op := range t.Ops {
		if op.Append == "" {
			continue
		}
		all++
		if _, ok := h.place[op.Append]; ok {
			there++
		}
	}
	switch {
	case t.Outcome == Undone && there > 0:
		h.breaks("a transaction that was undone, or never committed, has left %d of %d appends: %v", there, all, t)
	case t.Outcome == Committed && there < all:
		h.breaks("a transaction was acknowledged and %d of its %d appends are lost: %v%s", all-there, all, t, h.beside(t))
	case there > 0 && there < all:
		h.breaks("%d of %d appends of a transaction are there: %v", there, all, t)
	}
	for i, op := range t.Ops {
		if op.Append == "" {
			h.complete(n, t, i)
		}
	}
}

// written tells who appended values to a list.
func (h *history) written(key string, values ...string) (out string) {
	for _, value := range values {
		if writer, known := h.writer[value]; known {
			out += "\n  " + h.txns[writer].about(key)
		}
	}
	return out
}

// beside tells what is in the lists whose values a transaction has lost, and who wrote it.
func (h *history) beside(t *Transaction) (out string) {
	for _, op := range t.Ops {
		if _, ok := h.place[op.Append]; !ok && op.Append != "" {
			out += fmt.Sprintf("\n  %s is %v%s", op.Key, h.lists[op.Key], h.written(op.Key, h.lists[op.Key]...))
		}
	}
	return out
}

// complete looks whether a read ends between two appends of another transaction.
func (h *history) complete(n int, t *Transaction, i int) {
	saw := t.Ops[i].Saw[:len(t.Ops[i].Saw)-min(len(own(t, i, t.Ops[i].Key)), len(t.Ops[i].Saw))]
	next := len(saw)
	list := h.lists[t.Ops[i].Key]
	if next == 0 || next >= len(list) {
		return
	}
	if a, b := h.writer[saw[next-1]], h.writer[list[next]]; a == b && a != n {
		h.breaks("a read of %s ends with %s, within a transaction: %v", t.Ops[i].Key, saw[next-1], t)
	}
}
