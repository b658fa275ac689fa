package command

import "stele/meta/types"

// CommitTxn is nearly all that a busy log holds, and reflection was most of what an entry of it cost. This file writes and
// reads its body by hand, in the bytes that the general codec writes; what it cannot read is left to the general codec,
// which knows what to say about it.

// Major types of CBOR, and nil.
const (
	cborUint  = 0x00
	cborNeg   = 0x20
	cborBytes = 0x40
	cborArray = 0x80
	cborMap   = 0xa0
	cborNil   = 0xf6
)

func appendHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n < 1<<8:
		return append(dst, major|24, byte(n))
	case n < 1<<16:
		return append(dst, major|25, byte(n>>8), byte(n))
	case n < 1<<32:
		return append(dst, major|26, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(dst, major|27, byte(n>>56), byte(n>>48), byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func appendInt(dst []byte, n int64) []byte {
	if n < 0 {
		return appendHead(dst, cborNeg, uint64(^n))
	}
	return appendHead(dst, cborUint, uint64(n))
}

// roomOf is about how many bytes the body of a commit takes.
func roomOf(c *CommitTxn) int {
	n := commitRoom + 3*maxHead*len(c.Guards)
	for i := range c.Tablets {
		for _, payload := range c.Tablets[i].Redo {
			n += len(payload) + maxHead
		}
	}
	return n
}

// maxHead is how long a head is at most.
const maxHead = 9

// appendCommit appends the body of a command.
func appendCommit(dst []byte, c *CommitTxn) []byte {
	fields := byte(3)
	if len(c.Guards) > 0 {
		fields++
	}
	if c.Locks != 0 {
		fields++
	}
	dst = appendHead(append(dst, cborMap|fields, 1), cborUint, uint64(c.Txn))
	dst = appendInt(append(dst, 2), c.TimeMs)
	dst = append(dst, 3)
	if c.Tablets == nil {
		dst = append(dst, cborNil)
	} else {
		dst = appendHead(dst, cborArray, uint64(len(c.Tablets)))
	}
	for i := range c.Tablets {
		dst = appendPart(dst, &c.Tablets[i])
	}
	if len(c.Guards) > 0 {
		dst = appendGuards(dst, c.Guards)
	}
	if c.Locks != 0 {
		dst = appendHead(append(dst, 5), cborUint, c.Locks)
	}
	return dst
}

func appendGuards(dst []byte, guards []TxnGuard) []byte {
	dst = appendHead(append(dst, 4), cborArray, uint64(len(guards)))
	for _, g := range guards {
		dst = appendHead(append(dst, cborMap|2, 1), cborUint, uint64(g.Tablet))
		dst = appendHead(append(dst, 2), cborUint, uint64(g.Epoch))
	}
	return dst
}

func appendPart(dst []byte, p *TxnTablet) []byte {
	fields := byte(3)
	if p.Rows != 0 {
		fields++
	}
	if len(p.Redo) > 0 {
		fields++
	}
	if p.Newest != 0 {
		fields++
	}
	if p.Need != 0 {
		fields++
	}
	dst = appendHead(append(dst, cborMap|fields, 1), cborUint, uint64(p.Tablet))
	dst = appendHead(append(dst, 2), cborUint, uint64(p.Epoch))
	dst = append(dst, 3)
	if p.OK == nil {
		dst = append(dst, cborNil)
	} else {
		dst = appendHead(dst, cborArray, uint64(len(p.OK)))
		for _, r := range p.OK {
			dst = appendHead(dst, cborUint, uint64(r))
		}
	}
	if p.Rows != 0 {
		dst = appendInt(append(dst, 4), p.Rows)
	}
	if len(p.Redo) > 0 {
		dst = appendHead(append(dst, 5), cborArray, uint64(len(p.Redo)))
		for _, payload := range p.Redo {
			dst = append(appendHead(dst, cborBytes, uint64(len(payload))), payload...)
		}
	}
	if p.Newest != 0 {
		dst = appendHead(append(dst, 6), cborUint, uint64(p.Newest))
	}
	if p.Need != 0 {
		dst = appendInt(append(dst, 7), int64(p.Need))
	}
	return dst
}

// commitReader reads what appendCommit writes. The first read that does not fit sets bad.
type commitReader struct {
	b   []byte
	bad bool
}

func (r *commitReader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// head reads a major type and its number, in the shortest form.
func (r *commitReader) head() (major byte, n uint64) {
	c := r.byte()
	low := c & 0x1f
	if low < 24 {
		return c &^ 0x1f, uint64(low)
	}
	if low > 27 {
		r.bad = true
		return 0, 0
	}
	size := 1 << (low - 24)
	for range size {
		n = n<<8 | uint64(r.byte())
	}
	if n < 24 || size > 1 && n>>(size*4) == 0 {
		r.bad = true
	}
	return c &^ 0x1f, n
}

func (r *commitReader) want(major byte) uint64 {
	m, n := r.head()
	r.bad = r.bad || m != major
	return n
}

func (r *commitReader) key(k byte) { r.bad = r.byte() != k || r.bad }

func (r *commitReader) int() int64 {
	m, n := r.head()
	if n > 1<<63-1 || m != cborUint && m != cborNeg {
		r.bad = true
	}
	if m == cborNeg {
		return ^int64(n)
	}
	return int64(n)
}

// array reads the length of an array whose items have at least one byte each.
func (r *commitReader) array() int {
	n := r.want(cborArray)
	if n > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(n)
}

// readCommit is false when the body is not as appendCommit writes it.
func readCommit(body []byte) (*CommitTxn, bool) {
	r := commitReader{b: body}
	c := &CommitTxn{}
	fields := r.byte()
	r.bad = r.bad || fields < cborMap|3 || fields > cborMap|5
	r.key(1)
	c.Txn = types.TxnID(r.want(cborUint))
	r.key(2)
	c.TimeMs = r.int()
	r.key(3)
	n := r.array()
	if r.bad {
		return nil, false
	}
	c.Tablets = make([]TxnTablet, n)
	for i := range c.Tablets {
		r.part(&c.Tablets[i])
	}
	rest := int(fields) - cborMap - 3
	if rest > 0 && r.next(4) {
		r.guards(c)
		rest--
	}
	if rest > 0 && r.next(5) {
		c.Locks = r.want(cborUint)
		r.bad = r.bad || c.Locks == 0
		rest--
	}
	return c, !r.bad && rest == 0 && len(r.b) == 0
}

func (r *commitReader) guards(c *CommitTxn) {
	n := r.array()
	if r.bad || n == 0 {
		r.bad = true
		return
	}
	c.Guards = make([]TxnGuard, n)
	for i := range c.Guards {
		r.key(cborMap | 2)
		r.key(1)
		c.Guards[i].Tablet = types.TabletID(r.want(cborUint))
		r.key(2)
		c.Guards[i].Epoch = types.Epoch(r.want(cborUint))
	}
}

func (r *commitReader) part(p *TxnTablet) {
	fields := r.byte()
	r.key(1)
	p.Tablet = types.TabletID(r.want(cborUint))
	r.key(2)
	p.Epoch = types.Epoch(r.want(cborUint))
	r.key(3)
	n := r.array()
	if r.bad {
		return
	}
	p.OK = make([]types.ReplicaID, n)
	for i := range p.OK {
		p.OK[i] = types.ReplicaID(r.want(cborUint))
	}
	rest := int(fields) - cborMap - 3
	if rest > 0 && r.next(4) {
		p.Rows = r.int()
		r.bad = r.bad || p.Rows == 0
		rest--
	}
	if rest > 0 && r.next(5) {
		r.redo(p)
		rest--
	}
	if rest > 0 && r.next(6) {
		p.Newest = types.Version(r.want(cborUint))
		r.bad = r.bad || p.Newest == 0
		rest--
	}
	if rest > 0 && r.next(7) {
		p.Need = int(r.int())
		r.bad = r.bad || p.Need == 0
		rest--
	}
	r.bad = r.bad || rest != 0
}

// next takes a key if it comes next.
func (r *commitReader) next(k byte) bool {
	if len(r.b) == 0 || r.b[0] != k {
		return false
	}
	r.b = r.b[1:]
	return true
}

// redo reads payloads. They stay where they are: who keeps them longer than the entry copies them.
func (r *commitReader) redo(p *TxnTablet) {
	n := r.array()
	if r.bad || n == 0 {
		r.bad = true
		return
	}
	p.Redo = make([][]byte, n)
	for i := range p.Redo {
		size := r.want(cborBytes)
		if r.bad || size > uint64(len(r.b)) {
			r.bad = true
			return
		}
		p.Redo[i], r.b = r.b[:size:size], r.b[size:]
	}
}
