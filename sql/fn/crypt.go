package fn

import (
	"bytes"
	"compress/zlib"
	"crypto/aes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"

	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func init() {
	bytesOf := onTexts(always(tBin))
	register(
		Def{Name: "aes_encrypt", Group: "encoding", Syntax: "AES_ENCRYPT(s, key)", Doc: "Encrypted by AES with 128 bits, block by block (block_encryption_mode aes-128-ecb).", Min: 2, Max: 2, Rule: bytesOf, Row: aesEncrypt},
		Def{Name: "aes_decrypt", Group: "encoding", Syntax: "AES_DECRYPT(b, key)", Doc: "What AES_ENCRYPT was given; NULL with another key.", Min: 2, Max: 2, TakesNull: true, Rule: bytesOf, Row: nullable(aesDecrypt)},
		Def{Name: "compress", Group: "encoding", Syntax: "COMPRESS(s)", Doc: "Compressed by zlib, with its length in front.", Min: 1, Max: 1, Rule: bytesOf, Row: compress},
		Def{Name: "uncompress", Group: "encoding", Syntax: "UNCOMPRESS(b)", Doc: "What COMPRESS was given; NULL for anything else.", Min: 1, Max: 1, TakesNull: true, Rule: bytesOf, Row: nullable(uncompress)},
		Def{Name: "uncompressed_length", Group: "encoding", Syntax: "UNCOMPRESSED_LENGTH(b)", Doc: "The length of what COMPRESS was given.", Min: 1, Max: 1, Rule: onTexts(always(tInt)),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Int(int64(plainLength(a[0].B))), nil }},
		Def{Name: "random_bytes", Group: "encoding", Syntax: "RANDOM_BYTES(n)", Doc: "n random bytes, at most 1024.", Min: 1, Max: 1, Volatile: true, CanFail: true, Rule: fixed(tBin, tInt), Row: randomBytes},
	)
}

// foldKey makes a key of 128 bits as MySQL does: what is longer is folded over.
func foldKey(key []byte) []byte {
	out := make([]byte, 16)
	for i, c := range key {
		out[i%16] ^= c
	}
	return out
}

func aesEncrypt(_ *Call, a []vec.Value) (vec.Value, error) {
	block, err := aes.NewCipher(foldKey(a[1].B))
	if err != nil {
		return vec.Value{}, fmt.Errorf("encrypt: %w", err)
	}
	pad := 16 - len(a[0].B)%16
	out := append(bytes.Clone(a[0].B), bytes.Repeat([]byte{byte(pad)}, pad)...)
	for at := 0; at < len(out); at += 16 {
		block.Encrypt(out[at:at+16], out[at:at+16])
	}
	return vec.Str(out), nil
}

func aesDecrypt(_ *Call, a []vec.Value) (vec.Value, error) {
	block, err := aes.NewCipher(foldKey(a[1].B))
	if err != nil {
		return vec.Value{}, fmt.Errorf("decrypt: %w", err)
	}
	out := bytes.Clone(a[0].B)
	if len(out) == 0 || len(out)%16 != 0 {
		return vec.NullValue(), nil
	}
	for at := 0; at < len(out); at += 16 {
		block.Decrypt(out[at:at+16], out[at:at+16])
	}
	pad := int(out[len(out)-1])
	if pad < 1 || pad > 16 || !bytes.Equal(out[len(out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return vec.NullValue(), nil
	}
	return vec.Str(out[:len(out)-pad]), nil
}

func compress(_ *Call, a []vec.Value) (vec.Value, error) {
	if len(a[0].B) == 0 {
		return vec.Str([]byte{}), nil
	}
	var out bytes.Buffer
	out.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(a[0].B))))
	w := zlib.NewWriter(&out)
	if _, err := w.Write(a[0].B); err != nil {
		panic("BUG: compress to memory: " + err.Error())
	}
	if err := w.Close(); err != nil {
		panic("BUG: compress to memory: " + err.Error())
	}
	return vec.Str(out.Bytes()), nil
}

// plainLength reads the length that COMPRESS put in front.
func plainLength(b []byte) uint32 {
	if len(b) <= 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(b) & (1<<30 - 1)
}

func uncompress(_ *Call, a []vec.Value) (vec.Value, error) {
	b := a[0].B
	if len(b) == 0 {
		return vec.Str([]byte{}), nil
	}
	n := plainLength(b)
	if n == 0 || n > maxResultBytes {
		return vec.NullValue(), nil
	}
	r, err := zlib.NewReader(bytes.NewReader(b[4:]))
	if err != nil {
		return vec.NullValue(), nil
	}
	var out bytes.Buffer
	if _, err := io.Copy(&out, io.LimitReader(r, int64(n)+1)); err != nil || out.Len() > int(n) {
		return vec.NullValue(), nil
	}
	return vec.Str(out.Bytes()), nil
}

func randomBytes(_ *Call, a []vec.Value) (vec.Value, error) {
	if a[0].I < 1 || a[0].I > 1024 {
		return vec.Value{}, sqltypes.Errorf(errno.ValueOutOfRange, "length value is out of range in 'random_bytes'")
	}
	b := make([]byte, a[0].I)
	if _, err := rand.Read(b); err != nil {
		return vec.Value{}, fmt.Errorf("draw random bytes: %w", err)
	}
	return vec.Str(b), nil
}
