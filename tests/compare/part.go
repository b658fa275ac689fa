// Package compare gives Stele and a MariaDB the same random tables, rows and statements, reads as well as writes: rows, numbers of errors,
// affected rows, insert ids, warnings and types of columns must be the same.
//
// It owns a grammar whose statements are trees, so that a statement which the servers answer differently can be cut down to the smallest one
// that still is: a part gives way to another of its kind that it holds, or to a literal, or goes. Everything follows from a seed. Unlike
// tests/peer, whose expressions are typed and whose rows are tame, it mixes types as no careful program would. Its test (build tag clients)
// runs both servers; accepted_test.go lists differences that are meant, each with its
// reason. What it prints is to be judged: where MariaDB and MySQL differ, MySQL's documentation decides.
package compare

import (
	"math/rand/v2"
	"strings"
)

// kind is what a part may be put in the place of.
type kind uint8

const (
	fixed     kind = iota // stays
	value                 // an expression
	truth                 // a condition
	relation              // an item of FROM
	query                 // a SELECT with all its columns
	listing               // parts of which some may go
	statement             // one statement of a case
)

// part is a piece of a statement. Its text has a # where each of its parts comes.
type part struct {
	kind  kind
	text  string
	parts []*part
	least int  // how many parts a listing keeps
	free  bool // may go
}

func leaf(k kind, text string) *part { return &part{kind: k, text: text} }

func tree(k kind, text string, parts ...*part) *part { return &part{kind: k, text: text, parts: parts} }

// list joins parts by a separator; least of them stay.
func list(sep string, least int, parts ...*part) *part {
	return &part{kind: listing, text: sep, parts: parts, least: least}
}

// maybe is a part that may go.
func maybe(text string, parts ...*part) *part {
	return &part{kind: fixed, text: text, parts: parts, free: true}
}

func (p *part) String() string {
	var b strings.Builder
	p.write(&b)
	return b.String()
}

func (p *part) write(b *strings.Builder) {
	switch {
	case p.kind == listing:
		for i, child := range p.parts {
			if i > 0 {
				b.WriteString(p.text)
			}
			child.write(b)
		}
	case len(p.parts) == 0:
		b.WriteString(p.text)
	default:
		rest := p.text
		for _, child := range p.parts {
			before, after, _ := strings.Cut(rest, "#")
			b.WriteString(before)
			child.write(b)
			rest = after
		}
		b.WriteString(rest)
	}
}

// plain are what an expression may be in the end.
var plain = map[kind][]string{value: {"NULL", "1", "'a'"}, truth: {"TRUE"}}

// shrink cuts the part down while still says that what is left is still wanted. It asks at most budget times.
func shrink(root *part, budget int, still func() bool) {
	try := func(at *part, with part) bool {
		if budget <= 0 || size(&with) >= size(at) && with.text == at.text {
			return false
		}
		budget--
		was := *at
		*at = with
		if still() {
			return true
		}
		*at = was
		return false
	}
	for again := true; again && budget > 0; {
		again = false
		for _, p := range flat(root, nil) {
			if cut(p, try) {
				again = true
				break
			}
		}
	}
}

// cut tries what makes one part smaller.
func cut(p *part, try func(*part, part) bool) bool {
	if p.free && (p.text != "" || len(p.parts) > 0) && try(p, part{}) {
		return true
	}
	if p.kind == listing {
		return cutList(p, try)
	}
	for _, below := range flat(p, nil)[1:] {
		if below.kind == p.kind && p.kind != fixed && p.kind != statement && try(p, *below) {
			return true
		}
	}
	if len(p.parts) > 0 {
		for _, text := range plain[p.kind] {
			if try(p, part{kind: p.kind, text: text}) {
				return true
			}
		}
	}
	return false
}

func cutList(p *part, try func(*part, part) bool) bool {
	for n := len(p.parts) / 2; n >= 1; n /= 2 {
		for from := 0; from+n <= len(p.parts); from += n {
			if len(p.parts)-n < p.least {
				continue
			}
			less := *p
			less.parts = append(append([]*part(nil), p.parts[:from]...), p.parts[from+n:]...)
			if try(p, less) {
				return true
			}
		}
	}
	return false
}

func flat(p *part, out []*part) []*part {
	out = append(out, p)
	for _, child := range p.parts {
		out = flat(child, out)
	}
	return out
}

func size(p *part) int { return len(flat(p, nil)) }

// dice draws.
type dice struct{ *rand.Rand }

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

func (d dice) pick(choices ...string) string { return choices[d.IntN(len(choices))] }
