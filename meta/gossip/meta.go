package gossip

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/hashicorp/memberlist"
)

// MaxMeta is the most that a node can say of itself, encoded.
const MaxMeta = memberlist.MetaMaxSize

// Kind is what a node is.
type Kind uint8

// Kinds.
const (
	KindFE Kind = 1
	KindBE Kind = 2
)

func (k Kind) String() string {
	switch k {
	case KindFE:
		return "FE"
	case KindBE:
		return "BE"
	}
	return "?"
}

// Meta is what a node says of itself. The CBOR keys travel between versions: append, never renumber.
type Meta struct {
	Kind      Kind   `cbor:"1,keyasint"`
	ID        uint64 `cbor:"2,keyasint,omitempty"` // FE or BE id in the catalog, 0 = not known yet
	Host      string `cbor:"3,keyasint,omitempty"` // as the catalog has it
	RPCPort   int    `cbor:"4,keyasint,omitempty"`
	HTTPPort  int    `cbor:"5,keyasint,omitempty"`
	QueryPort int    `cbor:"6,keyasint,omitempty"` // FE
	RaftPort  int    `cbor:"7,keyasint,omitempty"` // FE
	// Incarnation is when the process started (Unix milliseconds): a restart is seen even when no death was.
	Incarnation int64  `cbor:"8,keyasint,omitempty"`
	Version     string `cbor:"9,keyasint,omitempty"` // of the binary
	Load        Load   `cbor:"10,keyasint,omitempty"`
	// Leaving is set by Leave: what the library tells of a node that goes does not say whether it meant to.
	Leaving bool `cbor:"11,keyasint,omitempty"`
}

// Load is a coarse summary; exact numbers come by reports.
type Load struct {
	CPUPercent uint8  `cbor:"1,keyasint,omitempty"`
	DiskFree   uint64 `cbor:"2,keyasint,omitempty"` // bytes, all disks
	DiskTotal  uint64 `cbor:"3,keyasint,omitempty"`
	Replicas   uint32 `cbor:"4,keyasint,omitempty"`
	Leaders    uint32 `cbor:"5,keyasint,omitempty"`
}

func encodeMeta(m Meta) ([]byte, error) {
	b, err := cbor.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode node meta: %w", err)
	}
	if len(b) > MaxMeta {
		return nil, fmt.Errorf("encode node meta: %d bytes exceed the limit of %d: shorten host or version", len(b), MaxMeta)
	}
	return b, nil
}

// decodeMeta reads what another node says of itself; fields that this binary does not know are passed over.
func decodeMeta(b []byte) (m Meta, err error) {
	if len(b) > MaxMeta {
		return m, fmt.Errorf("decode node meta: %d bytes exceed the limit of %d", len(b), MaxMeta)
	}
	if err := cbor.Unmarshal(b, &m); err != nil {
		return Meta{}, fmt.Errorf("decode node meta: %w", err)
	}
	return m, nil
}
