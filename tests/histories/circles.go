package histories

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// order is the graph of what came before what. Its nodes are the moments of transactions and the times of the clients.
type order struct {
	h      *history
	nodes  []node
	next   [][]edge
	first  []int // by transaction: its first state, the others follow; its commit is the last
	clocks []time.Duration
}

type node struct {
	txn   int // -1 = a time
	state int // -1 = its commit
}

type edge struct {
	to  int
	why string
}

// circles returns a circle of moments of which each came before the next, in words, if there is one.
func circles(h *history) []string {
	o := &order{h: h}
	o.moments()
	o.times()
	for n, t := range h.txns {
		o.sawBefore(n, t) // what was undone has read states like any other
	}
	if circle := o.circle(); circle != nil {
		return []string{o.tell(circle)}
	}
	return nil
}

// there reports whether the commit of a transaction is known to have happened.
func (o *order) there(n int) bool {
	for _, op := range o.h.txns[n].Ops {
		if _, ok := o.h.place[op.Append]; ok && op.Append != "" {
			return true
		}
	}
	return false
}

// moments makes the nodes of all transactions: states in the order in which they were taken, and then the commit.
func (o *order) moments() {
	for n, t := range o.h.txns {
		o.first = append(o.first, len(o.nodes))
		for s := range t.States {
			o.nodes = append(o.nodes, node{n, s})
		}
		o.nodes = append(o.nodes, node{n, -1})
	}
	o.next = make([][]edge, len(o.nodes))
	for n, t := range o.h.txns {
		for s := range t.States {
			o.edge(o.first[n]+s, o.first[n]+s+1, "is of the same transaction as")
		}
	}
}

func (o *order) commit(n int) int { return o.first[n] + len(o.h.txns[n].States) }

func (o *order) edge(from, to int, why string) { o.next[from] = append(o.next[from], edge{to, why}) }

// times puts every moment between the times at which its client asked and heard.
func (o *order) times() {
	for n, t := range o.h.txns {
		for _, s := range t.States {
			o.clocks = append(o.clocks, s.Asked, s.Heard)
		}
		if o.there(n) {
			o.clocks = append(o.clocks, t.Commit.Asked, t.Commit.Heard)
		}
	}
	slices.Sort(o.clocks)
	o.clocks = slices.Compact(o.clocks)
	base := len(o.nodes)
	for range o.clocks {
		o.nodes, o.next = append(o.nodes, node{txn: -1}), append(o.next, nil)
	}
	for k := 1; k < len(o.clocks); k++ {
		o.edge(base+k-1, base+k, "")
	}
	at := func(d time.Duration) int {
		k, _ := slices.BinarySearch(o.clocks, d)
		return base + k
	}
	between := func(moment int, s Span) {
		o.edge(at(s.Asked), moment, "was asked for before")
		o.edge(moment, at(s.Heard), "was answered before")
	}
	for n, t := range o.h.txns {
		for s, span := range t.States {
			between(o.first[n]+s, span)
		}
		if o.there(n) {
			between(o.commit(n), t.Commit)
		}
	}
}

// sawBefore draws what the operations of a transaction tell.
func (o *order) sawBefore(n int, t *Transaction) {
	for i, op := range t.Ops {
		state, list := o.first[n]+op.State, o.h.lists[op.Key]
		if op.Append != "" {
			if place, ok := o.h.place[op.Append]; ok && place > 0 {
				o.before(o.h.writer[list[place-1]], n, state, fmt.Sprintf("appended %s, behind which it put %s: so before", list[place-1], op.Append))
			}
			continue
		}
		seen := len(op.Saw) - len(own(t, i, op.Key))
		if seen > 0 {
			o.before(o.h.writer[list[seen-1]], n, state, fmt.Sprintf("appended %s, which is seen by", list[seen-1]))
		}
		if seen < len(list) && o.h.writer[list[seen]] != n {
			o.edge(state, o.commit(o.h.writer[list[seen]]), fmt.Sprintf("does not see %s, which is appended by", list[seen]))
		}
	}
}

// before has the commit of one transaction before a state of another.
func (o *order) before(writer, n, state int, why string) {
	if writer != n {
		o.edge(o.commit(writer), state, why)
	}
}

// circle finds a shortest circle through some moment, nil = there is none.
func (o *order) circle() []int {
	within := o.tangled()
	var shortest []int
	for n := range o.nodes {
		if !within[n] || o.nodes[n].txn < 0 {
			continue
		}
		if c := o.around(n, within); c != nil && (shortest == nil || len(c) < len(shortest)) {
			shortest = c
		}
	}
	return shortest
}

// tangled is what remains when nodes that nothing comes before, and nodes that come before nothing, are taken away again and again.
func (o *order) tangled() []bool {
	within := make([]bool, len(o.nodes))
	back := make([][]edge, len(o.nodes))
	for n, es := range o.next {
		within[n] = true
		for _, e := range es {
			back[e.to] = append(back[e.to], edge{to: n})
		}
	}
	peel(within, o.next, back)
	peel(within, back, o.next)
	return within
}

// peel takes away all that is not behind a circle.
func peel(within []bool, next, back [][]edge) {
	open := make([]int, len(next))
	var free []int
	for n := range next {
		for _, e := range back[n] {
			if within[e.to] {
				open[n]++
			}
		}
		if within[n] && open[n] == 0 {
			free = append(free, n)
		}
	}
	for len(free) > 0 {
		n := free[len(free)-1]
		free = free[:len(free)-1]
		within[n] = false
		for _, e := range next[n] {
			if open[e.to]--; within[e.to] && open[e.to] == 0 {
				free = append(free, e.to)
			}
		}
	}
}

// around is the shortest way from a node back to it.
func (o *order) around(start int, within []bool) []int {
	from := map[int]int{}
	for queue := []int{start}; len(queue) > 0; queue = queue[1:] {
		for _, e := range o.next[queue[0]] {
			if _, seen := from[e.to]; seen || !within[e.to] {
				continue
			}
			from[e.to] = queue[0]
			if e.to == start {
				return way(from, start)
			}
			queue = append(queue, e.to)
		}
	}
	return nil
}

func way(from map[int]int, start int) []int {
	path := []int{start}
	for n := from[start]; n != start; n = from[n] {
		path = append(path, n)
	}
	slices.Reverse(path[1:])
	return path
}

// tell says in words why each moment of a circle came before the next.
func (o *order) tell(circle []int) string {
	var b strings.Builder
	b.WriteString("no order explains this:")
	told := map[int]bool{}
	for i, n := range circle {
		to := circle[(i+1)%len(circle)]
		for _, e := range o.next[n] {
			if e.to == to && e.why != "" {
				fmt.Fprintf(&b, "\n  %s %s %s", o.name(n), e.why, o.name(to))
				break
			}
		}
		if txn := o.nodes[n].txn; txn >= 0 {
			told[txn] = true
		}
	}
	for n, t := range o.h.txns {
		if told[n] {
			fmt.Fprintf(&b, "\n  T%d: %v", n, t)
		}
	}
	return b.String()
}

func (o *order) name(n int) string {
	switch x := o.nodes[n]; {
	case x.txn < 0:
		return fmt.Sprint(o.clocks[n-len(o.nodes)+len(o.clocks)].Round(time.Microsecond))
	case x.state < 0:
		return fmt.Sprintf("the commit of T%d", x.txn)
	default:
		return fmt.Sprintf("state %d of T%d", x.state, x.txn)
	}
}
