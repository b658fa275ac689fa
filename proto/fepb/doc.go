// Package fepb is generated from fe.proto: the service of an FE.
package fepb
