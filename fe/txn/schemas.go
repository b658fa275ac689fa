package txn

import (
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"stele/meta/catalog"
	"stele/meta/types"
)

// maxSchemas bounds how many encoded schemas are kept.
const maxSchemas = 1024

// schemas keeps the encoded schemas of tables that were altered: every write to one carries its schema, because a BE hears of
// it by nothing else.
type schemas struct {
	mu sync.RWMutex
	m  map[types.TableID]encodedSchema
}

type encodedSchema struct {
	version uint32
	bytes   []byte
}

// of returns the schema of a table for its replicas; nil for a table that is as it was created.
func (s *schemas) of(t *catalog.Table) ([]byte, error) {
	if t.Schema.Version <= 1 {
		return nil, nil
	}
	s.mu.RLock()
	known := s.m[t.ID]
	s.mu.RUnlock()
	if known.version == t.Schema.Version {
		return known.bytes, nil
	}
	b, err := cbor.Marshal(t.Schema)
	if err != nil {
		return nil, fmt.Errorf("encode schema of table %d: %w", t.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil || len(s.m) >= maxSchemas {
		s.m = map[types.TableID]encodedSchema{}
	}
	s.m[t.ID] = encodedSchema{t.Schema.Version, b}
	return b, nil
}
