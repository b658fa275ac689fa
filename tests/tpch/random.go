package tpch

// random is a generator of our own: the rows must stay the same whatever happens to the library's.
type random struct{ state uint64 }

// stream returns the generator of a table, or of some columns of it.
func stream(name string) *random {
	r := &random{0x9e3779b97f4a7c1b} // a start with which every query but the 18th finds rows at scale 0.01
	for _, c := range []byte(name) {
		r.state = (r.state ^ uint64(c)) * 0x100000001b3
	}
	return r
}

// next is SplitMix64.
func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// between returns a number from low to high, both included. The bias is below 2^-40 for the ranges used here.
func (r *random) between(low, high int) int {
	return low + int(r.next()%uint64(high-low+1))
}

func (r *random) pick(words []string) string { return words[r.next()%uint64(len(words))] }

// text appends words until the text has from low to high bytes.
func (r *random) text(b []byte, low, high int) []byte {
	end := len(b) + r.between(low, high)
	for len(b) < end {
		for _, list := range [][]string{adjectives, nouns, verbs, adverbs, prepositions} {
			b = append(append(b, r.pick(list)...), ' ')
		}
	}
	return b[:end]
}

const letters = "0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ,"

// scribble appends from low to high random letters; neither end is a space.
func (r *random) scribble(b []byte, low, high int) []byte {
	n := r.between(low, high)
	start := len(b)
	for range n {
		b = append(b, letters[r.next()%uint64(len(letters))])
	}
	b[start], b[len(b)-1] = 'x', 'z'
	return b
}
