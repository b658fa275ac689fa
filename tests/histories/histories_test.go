package histories

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// at is a span of a millisecond.
func at(ms int) Span {
	return Span{time.Duration(ms) * time.Millisecond, time.Duration(ms+1) * time.Millisecond}
}

// txn is a committed transaction of one state, each operation as "key+value" or "key=a b c".
func txn(state, commit Span, ops ...string) *Transaction {
	t := &Transaction{Level: "REPEATABLE READ", States: []Span{state}, Commit: commit, Outcome: Committed}
	for _, op := range ops {
		if key, value, ok := strings.Cut(op, "+"); ok {
			t.Ops = append(t.Ops, Op{Key: key, Append: value})
			continue
		}
		key, list, _ := strings.Cut(op, "=")
		t.Ops = append(t.Ops, Op{Key: key, Saw: strings.Fields(list)})
	}
	return t
}

func undone(t *Transaction) *Transaction { t.Outcome = Undone; return t }

func doubtful(t *Transaction) *Transaction { t.Outcome, t.Commit.Heard = Unknown, Forever; return t }

func TestCheck(t *testing.T) {
	long := Span{0, 50 * time.Millisecond}
	for name, c := range map[string]struct {
		txns []*Transaction
		want string // part of what is told, "" = the history holds
	}{
		"one after the other": {[]*Transaction{txn(at(1), at(2), "x=", "x+1"), txn(at(3), at(4), "x=1", "x+2", "x=1 2"), txn(at(5), at(6), "x=1 2")}, ""},
		"write skew":          {[]*Transaction{txn(at(1), at(3), "x=", "y=", "x+1"), txn(at(1), at(3), "x=", "y=", "y+2"), txn(at(5), at(6), "x=1", "y=2")}, ""},
		"lost update":         {[]*Transaction{txn(at(1), at(3), "x=", "x+1"), txn(at(1), at(3), "x=", "x+2"), txn(at(5), at(6), "x=1 2")}, "no order explains"},
		"two states":          {[]*Transaction{txn(at(1), at(2), "x+1", "y+1b"), txn(long, long, "x=1", "y="), txn(at(51), at(52), "x=1", "y=1b")}, "no order explains"},
		"in a circle":         {[]*Transaction{txn(long, long, "x+1", "y=2"), txn(long, long, "y+2", "x=1"), txn(at(51), at(52), "x=1", "y=2")}, "no order explains"},
		"old":                 {[]*Transaction{txn(at(1), at(2), "x+1"), txn(at(4), at(5), "x="), txn(at(51), at(52), "x=1")}, "was answered before"},
		"early":               {[]*Transaction{txn(at(1), at(2), "x=1"), txn(at(4), at(5), "x+1"), txn(at(51), at(52), "x=1")}, "was asked for before"},
		"dirty":               {[]*Transaction{undone(txn(at(1), at(2), "x+1")), txn(at(1), at(2), "x=1"), txn(at(51), at(52), "x=")}, "undone"},
		"halfway":             {[]*Transaction{txn(at(1), at(2), "x+1", "x+2"), txn(long, long, "x=1"), txn(at(51), at(52), "x=1 2")}, "within a transaction"},
		"lost":                {[]*Transaction{txn(at(1), at(2), "x+1"), txn(at(51), at(52), "x=")}, "are lost"},
		"half of it":          {[]*Transaction{doubtful(txn(at(1), at(2), "x+1", "y+2")), txn(at(51), at(52), "x=1", "y=")}, "1 of 2 appends"},
		"in doubt":            {[]*Transaction{doubtful(txn(at(1), at(2), "x+1")), doubtful(txn(at(1), at(2), "x+2")), txn(at(51), at(52), "x=2")}, ""},
		"own":                 {[]*Transaction{txn(at(1), at(2), "x+1", "x="), txn(at(51), at(52), "x=1")}, "a transaction has appended"},
		"twice":               {[]*Transaction{txn(at(1), at(2), "x+1"), txn(at(51), at(52), "x=1 1")}, "twice"},
		"another":             {[]*Transaction{txn(at(1), at(2), "x+1"), txn(at(1), at(3), "x+2"), txn(at(4), at(5), "x=1 2"), txn(at(6), at(7), "x=2 1")}, "for another"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(Check(c.txns), "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestReadCommitted: a state of its own for each statement is no circle, going back to an older one is.
func TestReadCommitted(t *testing.T) {
	write := txn(at(10), at(11), "x+1")
	read := func(first, second string) *Transaction {
		r := txn(at(1), at(30), first, second)
		r.States, r.Ops[1].State = []Span{{0, 20 * time.Millisecond}, {0, 20 * time.Millisecond}}, 1
		return r
	}
	last := txn(at(51), at(52), "x=1")
	if got := Check([]*Transaction{write, read("x=", "x=1"), last}); len(got) > 0 {
		t.Error(got)
	}
	if got := Check([]*Transaction{write, read("x=1", "x="), last}); len(got) == 0 {
		t.Error("a statement that reads what is older than the one before is not found")
	}
}

// TestSerialHistories: what transactions do one after the other always holds, and no more does when one of the lists lacks its last value.
func TestSerialHistories(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		lists := map[string][]string{}
		var txns []*Transaction
		for n := range 30 {
			one := txn(at(10*n), at(10*n+5))
			for op := range 1 + r.IntN(4) {
				key := string(rune('a' + r.IntN(3)))
				if r.IntN(2) == 0 {
					value := strconv.Itoa(10*n + op)
					lists[key] = append(lists[key], value)
					one.Ops = append(one.Ops, Op{Key: key, Append: value})
					continue
				}
				one.Ops = append(one.Ops, Op{Key: key, Saw: slices.Clone(lists[key])})
			}
			txns = append(txns, one)
		}
		last := txn(at(1000), at(1001))
		for key, list := range lists {
			last.Ops = append(last.Ops, Op{Key: key, Saw: list})
		}
		txns = append(txns, last)
		if got := Check(txns); len(got) > 0 {
			t.Fatal(got)
		}
		stale := &last.Ops[r.IntN(len(last.Ops))]
		stale.Saw = stale.Saw[:len(stale.Saw)-1]
		if got := Check(txns); len(got) == 0 {
			t.Fatal("a list that lacks its last value is not noticed")
		}
	}
}
