package fulltext

import (
	"math"
	"slices"

	"stele/meta/types"
)

// Row is what a row's texts have of a query: how often each word is there.
type Row struct {
	Times []int
	// order are the keys of all words as they stand in the texts, "" between texts; only for phrases.
	order []string
	// least is, for each word that stands for all that begin so, the first of those that are there.
	least map[int]string
}

// Read looks for the words of a query in the texts of a row. A text may be nil.
func (q *Query) Read(texts ...[]byte) Row {
	r := Row{Times: make([]int, len(q.words))}
	var buf []byte
	for _, text := range texts {
		for w, chars := range tokens(text) {
			key := q.cmp.key(buf, w)
			if q.phrases {
				r.order = append(r.order, string(key))
			}
			if !q.cmp.counts(key, chars) {
				continue
			}
			if i, ok := q.exact[string(key)]; ok {
				r.Times[i]++
			}
			if len(q.begins) > 0 {
				q.beginnings(&r, w, chars)
			}
			if q.cmp.by != types.CollationBinary {
				buf = key
			}
		}
		if q.phrases {
			r.order = append(r.order, "")
		}
	}
	return r
}

// beginnings counts a word of a text for those that stand for all that begin so.
func (q *Query) beginnings(r *Row, w []byte, chars int) {
	whole := string(q.cmp.key(nil, w))
	for _, i := range q.begins {
		if chars >= q.words[i].chars && string(q.cmp.key(nil, head(w, q.words[i].chars))) == q.words[i].key {
			r.begin(i, whole)
		}
	}
}

// begin counts a word that begins as word i does: as in InnoDB the first such word of the row says how often it is there.
func (r *Row) begin(i int, key string) {
	if r.least == nil {
		r.least = map[int]string{}
	}
	switch least, ok := r.least[i]; {
	case !ok || key < least:
		r.least[i], r.Times[i] = key, 1
	case key == least:
		r.Times[i]++
	}
}

// Match reports whether a row is found.
func (q *Query) Match(r Row) bool {
	found, _ := q.list(q.root.kids, r, nil)
	return found
}

// Rank is how well a row fits, 0 when it is not found. Of has, for each word, in how many rows it is, out of rows.
func (q *Query) Rank(r Row, rows int64, of []int64) float64 {
	in := make([]bool, len(q.words))
	found, more := q.list(q.root.kids, r, in)
	if !found {
		return 0
	}
	rank := more
	for i, is := range in {
		if is {
			idf := weight(rows, of[i])
			rank += float64(r.Times[i]) * idf * idf
		}
	}
	return rank
}

// weight is how much it says that a word is there.
func weight(rows, of int64) float64 {
	switch {
	case of <= 0:
		return 0
	case of >= rows:
		return math.Log10(1.0001)
	}
	return math.Log10(float64(rows) / float64(of))
}

// list finds a row by parts: it must have what + demands, and else any part; what - names excludes it. It marks the words that count for the
// rank, and returns what operators add to it.
func (q *Query) list(parts []node, r Row, in []bool) (found bool, more float64) {
	must := false
	for i := range parts {
		p := &parts[i]
		if p.op == '-' {
			if hit, _ := q.part(p, r, nil); hit {
				return false, 0
			}
			continue
		}
		own := slices.Clone(in)
		hit, extra := q.part(p, r, own)
		if p.op == '+' {
			if !hit {
				return false, 0
			}
			must = true
		}
		if !hit {
			continue
		}
		found = true
		copy(in, own)
		switch more += extra; p.op {
		case '>':
			more++
		case '<', '~':
			more--
		}
	}
	return found || must, more
}

// part finds a row by one part.
func (q *Query) part(p *node, r Row, in []bool) (bool, float64) {
	switch {
	case p.word >= 0:
		if in != nil && r.Times[p.word] > 0 {
			in[p.word] = true
		}
		return r.Times[p.word] > 0, 0
	case p.phrase != nil:
		if !r.follows(p) {
			return false, 0
		}
		for _, w := range p.needs {
			if in != nil {
				in[w] = true
			}
		}
		return true, 0
	}
	return q.list(p.kids, r, in)
}

// follows reports whether the words of a phrase stand behind one another.
func (r *Row) follows(p *node) bool {
	for _, w := range p.needs {
		if r.Times[w] == 0 {
			return false
		}
	}
	for i := 0; i+len(p.phrase) <= len(r.order); i++ {
		if slices.Equal(r.order[i:i+len(p.phrase)], p.phrase) {
			return true
		}
	}
	return false
}
