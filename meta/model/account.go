package model

import (
	"cmp"
	"slices"
	"strings"
)

// User is an account. Who comes in under it, and what its grants allow, is the business of the layer that checks them.
type User struct {
	Name   string  `cbor:"1,keyasint"`
	Host   string  `cbor:"2,keyasint"` // a pattern; "%" = any
	Plugin string  `cbor:"3,keyasint,omitempty"`
	Auth   []byte  `cbor:"4,keyasint,omitempty"` // the plugin's verifier, never a password; empty = no password
	Grants []Grant `cbor:"5,keyasint,omitempty"` // by database and table, none without a privilege
	// Locked: nobody can log in to it.
	Locked bool `cbor:"6,keyasint,omitempty"`
	// RequireTLS: clients without TLS are turned away.
	RequireTLS bool `cbor:"7,keyasint,omitempty"`
	// Roles are the accounts that were granted to this one, by name and host: what they may do it may, in a session that has them active.
	Roles []RoleGrant `cbor:"8,keyasint,omitempty"`
	// DefaultRoles are those of Roles that are active when a session begins, by name and host.
	DefaultRoles []AccountName `cbor:"9,keyasint,omitempty"`
}

// RoleGrant is a role that an account has. Any account may be the role of others.
type RoleGrant struct {
	Role AccountName `cbor:"1,keyasint"`
	// Admin: the account may grant the role to others, and take it from them.
	Admin bool `cbor:"2,keyasint,omitempty"`
}

// AccountName names an account.
type AccountName struct {
	Name string `cbor:"1,keyasint"`
	Host string `cbor:"2,keyasint"`
}

// Compare orders accounts by name and host.
func (n AccountName) Compare(other AccountName) int {
	return cmp.Or(strings.Compare(n.Name, other.Name), strings.Compare(n.Host, other.Host))
}

// AccountName names the account.
func (u *User) AccountName() AccountName { return AccountName{u.Name, u.Host} }

// Role finds a role among those that were granted to the account itself; nil = it is not there.
func (u *User) Role(name AccountName) *RoleGrant {
	i, ok := slices.BinarySearchFunc(u.Roles, name, func(r RoleGrant, n AccountName) int { return r.Role.Compare(n) })
	if !ok {
		return nil
	}
	return &u.Roles[i]
}

// Grant gives privileges on *.*, a database or a table.
type Grant struct {
	Database   string    `cbor:"1,keyasint,omitempty"` // "" = *; a pattern if Table is ""
	Table      string    `cbor:"2,keyasint,omitempty"` // "" = *
	Privileges Privilege `cbor:"3,keyasint"`
}

// Privilege is a set of privileges, one bit each. The bits are in Raft logs: append, never renumber, never reuse.
type Privilege uint64

// The privileges of MySQL. Those about things that Stele does not have can be granted and allow nothing, so that the
// grants of another server can be taken over.
const (
	PrivSelect Privilege = 1 << iota
	PrivInsert
	PrivUpdate
	PrivDelete
	PrivCreate
	PrivDrop
	PrivAlter
	PrivIndex
	PrivReferences
	PrivCreateView
	PrivShowView
	PrivTrigger
	PrivLockTables
	PrivCreateTemporary
	PrivEvent
	PrivCreateRoutine
	PrivAlterRoutine
	PrivExecute
	PrivProcess
	PrivReload
	PrivShowDatabases
	PrivCreateUser
	PrivSuper
	PrivFile
	PrivShutdown
	PrivReplicationClient
	PrivReplicationSlave
	PrivCreateTablespace
	PrivCreateRole
	PrivDropRole
	// PrivGrant is GRANT OPTION: to pass on what one has at the same level.
	PrivGrant
)

// PrivAll is every privilege, those of later versions included: what the first account of a cluster has.
const PrivAll = ^Privilege(0)

// RootName is the account that a cluster has before any was made: without a password, allowed everything.
var RootName = AccountName{Name: "root", Host: "%"}

// Root is that account.
func Root() *User {
	return &User{Name: RootName.Name, Host: RootName.Host, Plugin: "mysql_native_password", Grants: []Grant{{Privileges: PrivAll}}}
}

// Administers reports whether an account can repair every other one, itself included.
func (u *User) Administers() bool {
	const all = PrivCreateUser | PrivGrant | PrivSuper
	for _, g := range u.Grants {
		if g.Database == "" && g.Privileges&all == all {
			return !u.Locked
		}
	}
	return false
}
