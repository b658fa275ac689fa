package scan

import (
	"sync"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/sql/physical"
)

// Bounds of the row cache: a row group keeps hundreds of rows compressed together, and a point query that finds its row
// here opens none of it.
const (
	rowCacheBytes  = 64 << 20 // unless LimitRowCache says less
	rowCacheShards = 16
	// rowCacheEntry is what an entry takes beside its key and its answer.
	rowCacheEntry = 120
)

// rowCache keeps the encoded answers to point queries on rows that lie in rowsets. An answer is good for every version at
// which its key is known not to have changed since. The zero value is empty.
type rowCache struct {
	limit  int // bytes; 0 = rowCacheBytes. Set before it is used
	shards [rowCacheShards]rowShard
}

// rowShard holds two generations: when the young one has its share of the bytes it becomes the old one, whose rows are
// gone unless they were asked for meanwhile.
type rowShard struct {
	mu         sync.Mutex
	young, old map[rowKey]rowAnswer
	bytes      int // of young
}

// rowKey names a row and the columns wanted of it. The incarnation of the replica is a part of it, and so is the decoded
// fragment, which is one as long as it is kept.
type rowKey struct {
	t   *tablet.Tablet
	f   *physical.Fragment
	key string
}

// rowAnswer is the encoded row at a version; nil when there was none.
type rowAnswer struct {
	version types.Version
	batch   []byte
}

func (c *rowCache) shard(key []byte) *rowShard {
	return &c.shards[key[len(key)-1]%rowCacheShards]
}

// get returns the answer at version v, if it is known.
func (c *rowCache) get(t *tablet.Tablet, f *physical.Fragment, key []byte, v types.Version) (batch []byte, ok bool) {
	if len(key) == 0 {
		return nil, false
	}
	s := c.shard(key)
	s.mu.Lock()
	a, ok := s.young[rowKey{t, f, string(key)}]
	if !ok {
		if a, ok = s.old[rowKey{t, f, string(key)}]; ok {
			s.putLocked(rowKey{t, f, string(key)}, a, c.share())
		}
	}
	s.mu.Unlock()
	if !ok || !t.Unchanged(key, a.version, v) {
		return nil, false
	}
	return a.batch, true
}

// put keeps an answer.
func (c *rowCache) put(t *tablet.Tablet, f *physical.Fragment, key []byte, v types.Version, batch []byte) {
	if len(key) == 0 {
		return
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putLocked(rowKey{t, f, string(key)}, rowAnswer{v, batch}, c.share())
}

// share is how many bytes a generation of a shard may take.
func (c *rowCache) share() int {
	if c.limit > 0 {
		return c.limit / rowCacheShards / 2
	}
	return rowCacheBytes / rowCacheShards / 2
}

func (s *rowShard) putLocked(k rowKey, a rowAnswer, share int) {
	size := len(k.key) + len(a.batch) + rowCacheEntry
	if s.young == nil || s.bytes+size > share {
		s.old, s.young, s.bytes = s.young, map[rowKey]rowAnswer{}, 0
	}
	s.young[k] = a
	s.bytes += size
}

// LimitRowCache bounds the cached answers to point queries, before the first one. A limit above the usual one changes nothing.
func (s *Scanner) LimitRowCache(bytes int64) {
	if bytes > 0 && bytes < rowCacheBytes {
		s.rows.limit = int(bytes)
	}
}

// RowCache returns about how many bytes the cached answers to point queries take, and the most that they may.
func (s *Scanner) RowCache() (used, limit int64) {
	for i := range s.rows.shards {
		shard := &s.rows.shards[i]
		shard.mu.Lock()
		used += int64(shard.bytes)
		if len(shard.old) > 0 {
			used += int64(s.rows.share())
		}
		shard.mu.Unlock()
	}
	return used, int64(s.rows.share()) * 2 * rowCacheShards
}
