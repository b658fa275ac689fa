// Package storage measures the store of a BE (package be/tablet) against what the same machine can do in the same run:
// DuckDB and MariaDB with the same rows, cp with fsync, append with fdatasync, a bare gRPC stream.
//
// Every row of the report has the mark that it must reach, so that it says by itself what falls short.
// It never fails for being slow: only for wrong rows or an error. It touches no server that it has not started. All of it
// has the build tag bench: see make bench-storage.
package storage
