package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
)

const (
	frameHeader = 7
	// frameMax is the most plain bytes in one frame that we write.
	frameMax = 1 << 20
	// frameMin is the length from which compressing is worth a try.
	frameMin = 50
)

// Compressors are large (hundreds of KB), so they are lent to a flush rather than owned by a connection.
var compressors = sync.Pool{New: func() any {
	w, err := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed)
	if err != nil {
		panic("BUG: zlib level: " + err.Error())
	}
	return w
}}

// frameReader is the plain side of a compressed client stream.
type frameReader struct {
	raw  *bufio.Reader
	seq  uint8            // number of the last frame read
	wire io.LimitedReader // what is left of the current frame on the wire
	body io.Reader        // wire, or the decompressor over it, limited to the announced length
	zr   io.ReadCloser
	left int64 // plain bytes left in the frame
}

// Read implements io.Reader; it never returns bytes of two frames at once.
func (f *frameReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for f.left == 0 {
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	if int64(len(p)) > f.left {
		p = p[:f.left]
	}
	n, err := f.body.Read(p)
	f.left -= int64(n)
	if f.left == 0 {
		err = f.finish()
	} else if err != nil {
		err = noEOF(err)
	}
	return n, err
}

// open reads the header of the next frame.
func (f *frameReader) open() error {
	var h [frameHeader]byte
	if _, err := io.ReadFull(f.raw, h[:]); err != nil {
		return err
	}
	f.seq = h[3]
	packed := int64(h[0]) | int64(h[1])<<8 | int64(h[2])<<16
	plain := int64(h[4]) | int64(h[5])<<8 | int64(h[6])<<16
	f.wire = io.LimitedReader{R: f.raw, N: packed}
	if plain == 0 {
		f.body, f.left = &f.wire, packed
		return nil
	}
	f.left = plain
	if f.zr == nil {
		zr, err := zlib.NewReader(&f.wire)
		if err != nil {
			return fmt.Errorf("read compressed frame: %w", noEOF(err))
		}
		f.zr = zr
	} else if err := f.zr.(zlib.Resetter).Reset(&f.wire, nil); err != nil {
		return fmt.Errorf("read compressed frame: %w", noEOF(err))
	}
	f.body = f.zr
	return nil
}

// finish skips what the frame has beyond its announced plain length (the checksum of zlib).
func (f *frameReader) finish() error {
	_, err := io.Copy(io.Discard, &f.wire)
	return err
}

// frameWriter packs output into compressed frames.
type frameWriter struct {
	seq uint8
	buf bytes.Buffer
}

// wrap returns data in frames; the result is valid until the next call.
func (f *frameWriter) wrap(data []byte) []byte {
	if f.buf.Cap() > keepBytes {
		f.buf = bytes.Buffer{}
	}
	f.buf.Reset()
	for len(data) > 0 {
		n := min(len(data), frameMax)
		f.frame(data[:n])
		data = data[n:]
	}
	return f.buf.Bytes()
}

func (f *frameWriter) frame(chunk []byte) {
	at := f.buf.Len()
	f.buf.Write(make([]byte, frameHeader))
	plain := 0
	if len(chunk) >= frameMin {
		plain = len(chunk)
		f.deflate(chunk)
	}
	if plain == 0 || f.buf.Len()-at-frameHeader >= plain {
		plain = 0
		f.buf.Truncate(at + frameHeader)
		f.buf.Write(chunk)
	}
	h := f.buf.Bytes()[at:]
	putHeader(h, len(h)-frameHeader, f.seq)
	h[4], h[5], h[6] = byte(plain), byte(plain>>8), byte(plain>>16)
	f.seq++
}

func (f *frameWriter) deflate(chunk []byte) {
	zw := compressors.Get().(*zlib.Writer)
	zw.Reset(&f.buf)
	_, err := zw.Write(chunk)
	if cerr := zw.Close(); err == nil {
		err = cerr
	}
	if err != nil { // a bytes.Buffer takes every write
		panic("BUG: compress into memory: " + err.Error())
	}
	zw.Reset(io.Discard)
	compressors.Put(zw)
}
