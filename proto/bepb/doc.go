// Package bepb is generated from be.proto: the service of a BE.
package bepb
