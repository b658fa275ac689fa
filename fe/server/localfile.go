package server

import (
	"context"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"stele/sql/errno"
)

// FileReceiver is a ResultWriter that can ask the client for a file, for LOAD DATA LOCAL.
type FileReceiver interface {
	// ReceiveFile asks the client for a file and hands its bytes to each, piece by piece; a piece is valid until each
	// returns. After an error of each the rest of the file is read and dropped: the client sends it all the same.
	ReceiveFile(name string, each func(piece []byte) error) error
}

// fileRequest begins the packet that asks for a file.
const fileRequest = 0xfb

// ReceiveFile implements FileReceiver.
func (w *resultWriter) ReceiveFile(name string, each func(piece []byte) error) error {
	c := w.c
	if c.caps&mysql.CLIENT_LOCAL_FILES == 0 {
		return clientErrorf(errno.LocalInfileDisabled, "Loading local data is disabled; this must be enabled on both the client and server sides")
	}
	if w.inRows || w.done || w.binary {
		return clientErrorf(errno.UnsupportedPrepared, "This command is not supported in the prepared statement protocol yet")
	}
	c.watch.stop(c) // the bytes that come are the file's
	if err := c.sendRaw(append([]byte{fileRequest}, name...)); err != nil {
		return err
	}
	if err := c.w.flush(); err != nil {
		return err
	}
	c.r.seq = c.w.seq
	err := c.readFile(w.ctx, each)
	c.answer()
	c.mu.Lock()
	stop := c.stmtStop
	c.mu.Unlock()
	c.watch.start(c, time.Now(), stop)
	return err
}

// fileBuffer is what a file is read through: clients send it in small packets, and each read costs more than its bytes do.
const fileBuffer = 256 << 10

// readFile reads packets up to the empty one that ends a file.
func (c *conn) readFile(ctx context.Context, each func(piece []byte) error) error {
	defer c.r.widen(fileBuffer)()
	var failed error
	for {
		if err := c.readUntil(time.Now().Add(c.s.cfg.WriteTimeout)); err != nil {
			return err
		}
		piece, err := c.r.nextInPlace(c.maxPacket)
		if err != nil {
			c.quit = true // what follows in the stream is not known
			return streamError(err)
		}
		c.s.count.bytesReceived.Add(uint64(len(piece)) + 4)
		if len(piece) == 0 {
			return failed
		}
		if failed == nil {
			if failed = context.Cause(ctx); failed == nil {
				failed = each(piece)
			}
		}
	}
}
