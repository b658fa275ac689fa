package collation

import (
	"bytes"
	"compress/flate"
	"embed"
	"encoding/binary"
	"io"
	"sync"

	"stele/meta/types"
)

//go:embed weights/*.bin
var packed embed.FS

// Bases of weights that are computed from the character.
const (
	baseSelf    = 0 // the character itself
	baseUnknown = 1 // one weight for all
)

// unknownWeight is what all characters weigh that a collation does not know.
const unknownWeight = 0xfffd

// A place of a table: computed, with the base; or explicit, with what it weighs: where in the pool, and how many weights at both
// levels.
const (
	computed   = 1 << 31
	levelBits  = 5
	levelMask  = 1<<levelBits - 1
	offsetBits = 2 * levelBits
)

const pageSize = 256

// table holds the weights of all characters.
type table struct {
	pages [0x110000 / pageSize]*[pageSize]uint32
	pool  []uint16
	ascii [128]uint16 // the one weight at the first level, 0 = none
	space uint16
}

// unpacked are the tables by file.
var unpacked = map[string]func() *table{}

// files are the tables of the collations.
var files = [...]string{types.CollationGeneralCI: "general", types.CollationUnicodeCI: "uca400", types.CollationUnicode520CI: "uca520",
	types.Collation0900AI: "uca1400", types.Collation0900AS: "uca1400", types.CollationUCA1400AI: "uca1400", types.CollationSwedishCI: "swedish"}

func init() {
	for _, f := range files {
		if f != "" && unpacked[f] == nil {
			unpacked[f] = sync.OnceValue(func() *table { return unpack(f) })
		}
	}
}

// tableOf returns the table of a collation that is not binary.
func tableOf(c types.Collation) *table { return unpacked[files[c]]() }

// reader reads a packed table. What it reads is part of the program: errors are bugs.
type reader struct{ *bytes.Reader }

func (r reader) uint() int {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		panic("BUG: a table of weights is cut off: " + err.Error())
	}
	return int(n)
}

// unpack reads a table: runs of computed weights, then the characters with explicit ones, as columns: steps, numbers of weights at both
// levels, the weights of the first, as differences, and those of the second.
func unpack(name string) *table {
	file, err := packed.Open("weights/" + name + ".bin")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	raw, err := io.ReadAll(flate.NewReader(file))
	if err != nil {
		panic("BUG: weights of " + name + ": " + err.Error())
	}
	r, t := reader{bytes.NewReader(raw)}, &table{}
	at := 0
	for range r.uint() {
		at += r.uint()
		n, base := r.uint(), r.uint()
		for c := at; c < at+n; c++ {
			*t.place(rune(c)) = computed | uint32(base)
		}
		at += n
	}
	t.explicit(r)
	t.share()
	for c := range t.ascii {
		if p, _ := t.weights(rune(c), nil); len(p) > 0 {
			t.ascii[c] = p[0]
		}
	}
	t.space = t.ascii[' ']
	return t
}

// explicit reads the characters whose weights are written out.
func (t *table) explicit(r reader) {
	chars := make([]rune, r.uint())
	last := 0
	for i := range chars {
		last += r.uint()
		chars[i] = rune(last)
	}
	counts := make([]uint32, len(chars))
	for i := range counts {
		p, _ := r.ReadByte()
		q, _ := r.ReadByte()
		counts[i] = uint32(p)<<levelBits | uint32(q)
	}
	first := make([][]uint16, len(chars))
	last = 0
	for i := range chars {
		for range counts[i] >> levelBits {
			d := r.uint()
			last += unzigzag(d)
			first[i] = append(first[i], uint16(last))
		}
	}
	for i, c := range chars {
		*t.place(c) = uint32(len(t.pool))<<offsetBits | counts[i]
		t.pool = append(t.pool, first[i]...)
		for range counts[i] & levelMask {
			t.pool = append(t.pool, uint16(r.uint()))
		}
	}
}

// share keeps one page of those that are computed alike: most are.
func (t *table) share() {
	alike := map[[pageSize]uint32]*[pageSize]uint32{}
	for i, page := range t.pages {
		if first := alike[*page]; first != nil {
			t.pages[i] = first
		} else {
			alike[*page] = page
		}
	}
}

// unzigzag reads a difference: even for one upwards, odd for one downwards.
func unzigzag(d int) int {
	if d&1 == 0 {
		return d >> 1
	}
	return -((d + 1) >> 1)
}

// place is where a character stands.
func (t *table) place(c rune) *uint32 {
	page := &t.pages[c/pageSize]
	if *page == nil {
		*page = new([pageSize]uint32)
	}
	return &(*page)[c%pageSize]
}

// weights returns the weights of a character at both levels; those that are computed are appended to buf.
func (t *table) weights(c rune, buf []uint16) (first, second []uint16) {
	p := t.pages[c/pageSize][c%pageSize]
	if p&computed == 0 {
		at, n := p>>offsetBits, p>>levelBits&levelMask
		return t.pool[at : at+n], t.pool[at+n : at+n+p&levelMask]
	}
	switch base := p &^ computed; base {
	case baseSelf:
		if c > 0xffff { // two weights are as good
			return append(buf, uint16(c>>16), uint16(c)), common
		}
		return append(buf, uint16(c)), common
	case baseUnknown:
		return append(buf, unknownWeight), common
	default:
		return append(buf, uint16(base)+uint16(c>>15), uint16(c)&0x7fff|0x8000), common
	}
}

// common is what a character without marks weighs at the second level.
var common = []uint16{0x20}
