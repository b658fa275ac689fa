package rpc

import (
	"errors"
	"io"
)

// Drain hands every message of a stream to each until the stream ends. Who started the stream cancels its context
// afterwards: after an error of each it may still run.
func Drain[T any](recv func() (T, error), each func(T) error) error {
	for {
		msg, err := recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(msg); err != nil {
			return err
		}
	}
}
