package rowset

import (
	"encoding/binary"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// A blocked bloom filter: one cache line a key, 10 bits a key, 6 probes: about 1 % false positives. Each block carries
// its own hash, so that a probe checks 64 bytes and not the whole filter.
const (
	bloomBlock      = 64 // bytes, of which the last 8 are the hash of the rest
	bloomBody       = bloomBlock - 8
	bloomBitsPerKey = 10
	bloomProbes     = 6
)

// KeyHash is the hash of a memcomparable key that bloom filters are asked with.
func KeyHash(key []byte) uint64 { return xxh3.Hash(key) }

func buildBloom(hashes []uint64) []byte {
	blocks := (len(hashes)*bloomBitsPerKey + bloomBody*8 - 1) / (bloomBody * 8)
	filter := make([]byte, blocks*bloomBlock)
	for _, h := range hashes {
		block := bloomOf(filter, h)
		for range bloomProbes {
			bit := bloomBit(h)
			block[bit>>3] |= 1 << (bit & 7)
			h = bits.RotateLeft64(h, -9)
		}
	}
	for at := 0; at < len(filter); at += bloomBlock {
		block := filter[at : at+bloomBlock]
		binary.LittleEndian.PutUint64(block[bloomBody:], xxh3.Hash(block[:bloomBody]))
	}
	return filter
}

func bloomMayContain(filter []byte, h uint64) (bool, error) {
	if len(filter) < bloomBlock {
		return false, ErrCorrupt
	}
	block := bloomOf(filter, h)
	if xxh3.Hash(block[:bloomBody]) != binary.LittleEndian.Uint64(block[bloomBody:]) {
		return false, ErrCorrupt
	}
	for range bloomProbes {
		bit := bloomBit(h)
		if block[bit>>3]&(1<<(bit&7)) == 0 {
			return false, nil
		}
		h = bits.RotateLeft64(h, -9)
	}
	return true, nil
}

// verifyBloom checks the hash of every block.
func verifyBloom(filter []byte) error {
	for at := 0; at+bloomBlock <= len(filter); at += bloomBlock {
		block := filter[at : at+bloomBlock]
		if xxh3.Hash(block[:bloomBody]) != binary.LittleEndian.Uint64(block[bloomBody:]) {
			return ErrCorrupt
		}
	}
	return nil
}

// bloomBit maps the low 16 bits of h to a bit of a block.
func bloomBit(h uint64) uint64 { return (h & 0xFFFF) * (bloomBody * 8) >> 16 }

func bloomOf(filter []byte, h uint64) []byte {
	hi, _ := bits.Mul64(h*0x9E3779B97F4A7C15, uint64(len(filter)/bloomBlock))
	return filter[hi*bloomBlock:][:bloomBlock]
}

func appendHashed(dst, section []byte) []byte {
	dst = append(dst, section...)
	return binary.LittleEndian.AppendUint64(dst, xxh3.Hash(section))
}

func verifyHashed(section []byte) ([]byte, error) {
	if len(section) < 8 {
		return nil, ErrCorrupt
	}
	body := section[:len(section)-8]
	if xxh3.Hash(body) != binary.LittleEndian.Uint64(section[len(body):]) {
		return nil, ErrCorrupt
	}
	return body, nil
}
