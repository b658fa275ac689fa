package tablet

import (
	"context"
	"fmt"
	"slices"

	"stele/be/tablet/kv"
	"stele/be/tablet/memtable"
	"stele/be/tablet/wire"
	"stele/meta/contain"
	"stele/meta/types"
	"stele/sql/vec"
)

// largePart is the size from which a part is stored in data, past the front of meta, and not kept in memory.
const largePart = 512 << 10

// pendingTxn is a transaction whose rows are here but whose outcome is not known: all of its parts are light, or none is. Guarded
// by the tablet's mu.
type pendingTxn struct {
	parts []*pendingPart
	one   [1]*pendingPart // of most there is one: room for it
	first pendingPart     // likewise

	// Room for what Publish, and nobody else, makes of one part.
	entry   [1]partEntry
	payload [1][]byte
}

// pendingPart is one payload. done is closed when it is durable, light or refused; err is set before.
type pendingPart struct {
	entry   partEntry
	light   bool        // in memory alone (light.go)
	payload []byte      // nil when it is large: it is read again at publish
	bulk    bool        // large: its transaction is published as rowsets
	staged  *stagedPart // nil when it is small, or has not been staged yet
	done    chan struct{}
	err     error
	tell    func(error)   // nil = nobody but who waits for done
	decoded *decodedWrite // of payload; nil = not kept
	rows    decodedWrite  // room for decoded, of a light part

	replaces *pendingPart   // the same part, which the disk has refused, or which is light
	hardened []numberedPart // those that were light until this one came, and become durable with it
}

// committedPart stands for a part of a transaction that has been published: it is there for good.
var committedPart = func() *pendingPart {
	p := &pendingPart{done: make(chan struct{})}
	close(p.done)
	return p
}()

// decodedWrite is a payload as rows of a version of the schema.
type decodedWrite struct {
	schema uint32
	ops    []types.RowOp
	rows   *vec.Batch
	keys   [][]byte // nil = not known
	old    []Found  // as Written has it
}

// keptBytes is up to how much of memory the rows of a pending part are kept as they were decoded. Who limits what is pending counts
// payloads, and these may be compressed to a thousandth.
const keptBytes = 8 * laterBytes

// kept returns what is to be kept for Publish; nil = the payload is to be read again. d may be nil.
func (d *decodedWrite) kept() *decodedWrite {
	if d == nil || !d.small() {
		return nil
	}
	return d
}

// small reports whether the rows may be kept.
func (d *decodedWrite) small() bool {
	bytes := int64(0)
	for _, v := range d.rows.Cols {
		if v.N > 0 {
			bytes += memtable.BytesOf(v, 0, v.N)
		}
	}
	return bytes <= keptBytes
}

// settle says that the part is durable, or why it is refused.
func (p *pendingPart) settle(err error) {
	for _, h := range p.hardened {
		h.part.settle(err)
	}
	p.hardened = nil
	p.err = err
	close(p.done)
	if p.tell != nil {
		p.tell(err)
	}
}

func (p *pendingTxn) durable() bool {
	for _, part := range p.parts {
		select {
		case <-part.done:
			if part.err != nil {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// Prepare makes payload durable as the next part of pending transaction txn. It returns when the part is on disk. A
// sender that may repeat itself numbers its parts and calls PreparePart.
func (t *Tablet) Prepare(ctx context.Context, txn types.TxnID, payload []byte) error {
	return t.prepare(ctx, txn, -1, payload)
}

// PreparePart makes payload durable as part number part, from 0, of pending transaction txn. It is idempotent: a part
// that is there already is not compared, only waited for. A part beyond the next one is ErrPartGap.
func (t *Tablet) PreparePart(ctx context.Context, txn types.TxnID, part int, payload []byte) error {
	return t.prepare(ctx, txn, part, payload)
}

func (t *Tablet) prepare(ctx context.Context, txn types.TxnID, part int, payload []byte) error {
	g, decoded, err := checkPart(t.Schema(), payload)
	if err != nil {
		return fmt.Errorf("prepare txn %d on tablet %d: %w", txn, t.id, err)
	}
	if err := t.s.takes(payload); err != nil {
		return fmt.Errorf("prepare txn %d on tablet %d: %w", txn, t.id, err)
	}
	if err := t.s.mem.wait(ctx, t.s.poke); err != nil {
		return fmt.Errorf("prepare txn %d on tablet %d: wait for a flush: %w", txn, t.id, err)
	}
	p, number, mine, err := t.reservePart(txn, part, payload)
	if err != nil {
		return fmt.Errorf("prepare txn %d part %d on tablet %d: %w", txn, part, t.id, err)
	}
	if mine {
		p.decoded = decoded.kept()
		t.dropReplaced(p)
		err = t.hardenBefore(txn, p)
	}
	switch {
	case !mine:
	case err != nil:
		p.settle(err)
	case g != nil && t.groupPart(txn, number, p, g):
		defer t.dropStray(txn, number, p)
	default:
		t.storePart(txn, number, p, payload)
		t.stagePrepared(txn, number, p, payload)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return fmt.Errorf("prepare txn %d on tablet %d: %w", txn, t.id, ctx.Err())
	}
	if p.err != nil {
		return fmt.Errorf("prepare txn %d on tablet %d: %w", txn, t.id, p.err)
	}
	return nil
}

// laterBytes is up to what size a part is worth no wait, and its rows are kept for Publish as they were decoded to check them, unless
// they take more than keptBytes.
const laterBytes = 64 << 10

// PrepareLater is PreparePart for a small payload and a caller that must not wait: done is called once, perhaps at once, else by
// the goroutine that has written the part, so it must not block. False says that this part has to be waited for after all, by
// PreparePart; done is not called then.
func (t *Tablet) PrepareLater(txn types.TxnID, part int, payload []byte, done func(error)) bool {
	if !t.takesNow(payload) {
		return false
	}
	told := func(err error) {
		if err != nil {
			err = fmt.Errorf("prepare txn %d part %d on tablet %d: %w", txn, part, t.id, err)
		}
		done(err)
	}
	decoded, err := t.decodeNow(payload)
	if err != nil {
		told(err)
		return true
	}
	p, number, mine, err := t.reservePart(txn, part, payload)
	switch {
	case err != nil:
		told(err)
	case !mine:
		select {
		case <-p.done:
			told(p.err)
		default:
			return false
		}
	default:
		t.dropReplaced(p)
		p.tell, p.decoded = told, decoded.kept()
		entries := t.hardenEntries(txn, p)
		t.chargePart(payload)
		t.s.meta.CommitAhead(append(entries, t.smallEntry(txn, number, p.payload)), true, p.settle)
	}
	return true
}

// takesNow reports whether a part is small enough, and the disk idle enough, that nobody has to wait for anything.
func (t *Tablet) takesNow(payload []byte) bool {
	return len(payload) <= laterBytes && !wire.IsGrouped(payload) && !t.s.largeWrite(payload) && !t.s.mem.over(1) && !t.s.crowded()
}

// decodeNow checks a payload and the disk, and keeps the rows for as long as the schema stays as it is.
func (t *Tablet) decodeNow(payload []byte) (*decodedWrite, error) {
	schema := t.Schema()
	_, decoded, err := checkPart(schema, payload)
	if err == nil {
		err = t.s.takes(payload)
	}
	return decoded, err
}

// checkPart is checkPayload that keeps the rows of a small payload.
func checkPart(schema *types.Schema, payload []byte) (*wire.Grouped, *decodedWrite, error) {
	if wire.IsGrouped(payload) || len(payload) > laterBytes {
		g, err := wire.Check(schema, payload)
		return g, nil, err
	}
	ops, rows, err := wire.Decode(schema, payload)
	if err != nil {
		return nil, nil, err
	}
	return nil, &decodedWrite{schema: schema.Version, ops: ops, rows: rows}, nil
}

// reservePart finds or makes the slot of a part; mine says that the caller has to store it, and with it the light ones.
func (t *Tablet) reservePart(txn types.TxnID, part int, payload []byte) (p *pendingPart, number int, mine bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pt, err := t.openTxn(txn, part)
	if err != nil {
		return nil, 0, false, err
	}
	if pt == nil {
		return committedPart, part, false, nil
	}
	if part < 0 {
		part = len(pt.parts)
	}
	if part < len(pt.parts) && !pt.parts[part].refused() && !pt.parts[part].light {
		return pt.parts[part], part, false, nil
	}
	if p = &pt.first; len(pt.parts) > 0 {
		p = &pendingPart{}
	}
	*p = pendingPart{entry: partEntry{Bytes: int64(len(payload)), Large: storedLarge(payload)}, bulk: t.s.largeWrite(payload), done: make(chan struct{})}
	if !p.entry.Large {
		p.payload = sealable(payload)
	}
	if part == len(pt.parts) {
		pt.parts = append(pt.parts, p)
	} else {
		p.replaces, pt.parts[part] = pt.parts[part], p
	}
	p.hardened = pt.harden()
	t.pending[txn] = pt
	return p, part, true, nil
}

// openTxn returns the pending transaction, or a new one, that may take a part; nil when it is committed. Called with mu held.
func (t *Tablet) openTxn(txn types.TxnID, part int) (*pendingTxn, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	if t.changes.txns.has(txn) {
		return nil, nil
	}
	if t.applying == txn {
		return nil, errApplying
	}
	pt := t.pending[txn]
	if pt == nil {
		pt = &pendingTxn{}
		pt.parts = pt.one[:0]
	}
	if part > len(pt.parts) {
		return nil, ErrPartGap
	}
	return pt, nil
}

// dropReplaced lets go of what a refused part has left behind.
func (t *Tablet) dropReplaced(p *pendingPart) {
	if p.replaces != nil {
		t.dropStaged(p.replaces.staged)
		t.partGone(p.replaces.entry)
	}
}

func (p *pendingPart) refused() bool {
	select {
	case <-p.done:
		return p.err != nil
	default:
		return false
	}
}

func (t *Tablet) storePart(txn types.TxnID, number int, p *pendingPart, payload []byte) {
	entries := t.hardenEntries(txn, p)
	t.chargePart(payload)
	entry := t.storeEntry(txn, number, p, payload)
	t.s.partDB(p.entry.Large).CommitAhead(append(entries, entry), false, p.settle) // a run has nothing to do with what is pending
}

func (t *Tablet) storeEntry(txn types.TxnID, number int, p *pendingPart, payload []byte) kv.Entry {
	if p.entry.Large {
		return t.partStoreEntry(txn, number, payload)
	}
	return t.smallEntry(txn, number, p.payload)
}

// smallEntry stores a part that is kept in memory, too: it is sealed where it is, once.
func (t *Tablet) smallEntry(txn types.TxnID, number int, payload []byte) kv.Entry {
	key := partKey(t.uid, txn, number, false)
	return kv.Entry{Key: key, Value: sealHere(key, payload), New: true}
}

func (t *Tablet) partStoreEntry(txn types.TxnID, number int, payload []byte) kv.Entry {
	key := partKey(t.uid, txn, number, storedLarge(payload))
	return kv.Entry{Key: key, Value: seal(key, payload)}
}

// storedLarge reports whether a payload is stored in data.
func storedLarge(payload []byte) bool { return len(payload) >= largePart || wire.IsGrouped(payload) }

func (s *Store) partDB(large bool) *kv.DB {
	if large {
		return s.data
	}
	return s.meta
}

// loadPart reads a stored part, or one that is in memory alone yet.
func (t *Tablet) loadPart(txn types.TxnID, number int, e partEntry) ([]byte, error) {
	if payload := t.unwrittenPart(txn, number); payload != nil {
		return payload, nil
	}
	key := partKey(t.uid, txn, number, e.Large)
	var out []byte
	var err error
	read := t.s.meta.View
	if e.Large {
		read = t.s.viewData
	}
	if e.Rowset != 0 {
		out, err = t.loadGrouped(key)
	} else {
		err = read(key, func(val []byte) error {
			body, err := unseal(key, val)
			out = slices.Clone(body)
			return err
		})
	}
	if err = missingIsCorrupt(key, err); err == nil && int64(len(out)) != e.Bytes {
		err = fmt.Errorf("%d bytes, not %d: %w", len(out), e.Bytes, ErrCorrupt)
	}
	if err != nil {
		return nil, fmt.Errorf("part %d of txn %d: %w", number, txn, err)
	}
	return out, nil
}

// Pending returns the transactions whose outcome is not known here, ascending.
func (t *Tablet) Pending() []types.TxnID {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]types.TxnID, 0, len(t.pending))
	for txn := range t.pending {
		out = append(out, txn)
	}
	slices.Sort(out)
	return out
}

// PendingParts returns how many parts of a transaction are pending and on disk, or light, from the first on without a gap.
func (t *Tablet) PendingParts(txn types.TxnID) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	p := t.pending[txn]
	if p == nil || !p.durable() {
		return 0
	}
	return len(p.parts)
}

// Abort forgets a pending transaction; one that is not pending is no error. The deletion need not be durable: after a
// crash the transaction is pending again, and the FE says again what became of it.
func (t *Tablet) Abort(txn types.TxnID) error {
	t.write.Lock() // a publish of the same transaction comes before or after as a whole
	defer t.write.Unlock()
	t.mu.Lock()
	err := t.usable()
	p := t.pending[txn]
	if err == nil {
		delete(t.pending, txn)
	}
	t.mu.Unlock()
	if err != nil {
		return fmt.Errorf("abort txn %d: %w", txn, err)
	}
	t.forget(txn, p)
	return nil
}

// forget deletes what a transaction that is pending no more has on disk; nil has nothing.
func (t *Tablet) forget(txn types.TxnID, p *pendingTxn) {
	if p == nil {
		return
	}
	t.dropStaged(p.staged()...)
	for i, part := range p.parts {
		if !part.light {
			t.deletePart(txn, i, part.entry)
		}
	}
}

func entriesOf(p *pendingTxn) []partEntry { return p.appendEntries(make([]partEntry, 0, len(p.parts))) }

func (p *pendingTxn) appendEntries(out []partEntry) []partEntry {
	for _, part := range p.parts {
		out = append(out, part.entry)
	}
	return out
}

func (t *Tablet) deletePart(txn types.TxnID, number int, e partEntry) {
	t.s.partDB(e.Large).CommitLazy([]kv.Entry{{Key: partKey(t.uid, txn, number, e.Large), Delete: true}}, t.s.logFailure("delete part"))
	t.partGone(e)
}

func (s *Store) logFailure(what string) func(error) {
	return func(err error) {
		if err != nil {
			s.log.Warn("background write", "what", what, "err", err)
		}
	}
}

// write is one decoded part.
type write struct {
	ops  []types.RowOp
	rows *vec.Batch
	keys [][]byte
	old  []Found // where the rows were that these end; nil = not known

	// What makeReady makes, which apply does itself where that was not done.
	hashes  []uint64 // of the keys
	names   string   // putKeys
	ordered bool     // the keys ascend
}

// makeReady does all of the work of apply that takes no lock.
func (w *write) makeReady() {
	w.hashes = appendHashes(nil, w.keys)
	w.names = putKeys(*w)
	w.ordered = ascending(w.keys)
}

// decodeParts reads payloads as rows of the present schema, with their keys. Those that are known as rows of it already are not
// read again; known may be nil. They are appended to out.
func (t *Tablet) decodeParts(out []write, payloads [][]byte, known []*decodedWrite) (_ []write, err error) {
	defer contain.As(&err, ErrCorrupt)
	t.mu.RLock()
	schema, keyIdx := t.schema, t.keyIdx
	t.mu.RUnlock()
	for i, payload := range payloads {
		var w write
		switch {
		case payload == nil: // a rowset has its rows, and it deletes nothing
		case known != nil && known[i] != nil && known[i].schema == schema.Version:
			w = write{ops: known[i].ops, rows: known[i].rows, keys: known[i].keys, old: known[i].old}
		default:
			if w.ops, w.rows, err = wire.Decode(schema, payload); err != nil {
				return nil, err
			}
		}
		if w.rows != nil && w.keys == nil {
			w.keys = vec.EncodeKeys(w.rows, keyIdx)
		}
		out = append(out, w)
	}
	return out, nil
}
