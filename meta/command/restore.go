package command

import "stele/meta/types"

// RestoreMetadata is the first command on a catalog that was taken from a backup. The cluster has gone on since the
// backup was made, so everything that might have been drawn or counted meanwhile is passed over, and until every BE
// has told what it holds (AdoptReplicas) nothing is committed.
type RestoreMetadata struct {
	KeepFE types.FEID `cbor:"1,keyasint"` // the FE that was restored; the others are forgotten and can be added again
	TimeMs int64      `cbor:"2,keyasint"`
	// Host and RaftPort are where that FE is reached now; "" and 0 = where it was.
	Host     string `cbor:"3,keyasint,omitempty"`
	RaftPort int    `cbor:"4,keyasint,omitempty"`
}

// RestoreInPlace has a catalog that is older than its BEs go on as one that was taken from a backup; its FEs stay. An older copy of
// the directories of a majority of FEs makes such a catalog, and so does a BE that was not waited for and comes back.
type RestoreInPlace struct {
	// Proof is of a replica with a version that the catalog has not given or, since version 2, of one with an id that it has not drawn.
	Proof  ReplicaReport `cbor:"1,keyasint"`
	TimeMs int64         `cbor:"2,keyasint"`
}

// AdoptReplicas takes over what a BE holds into a catalog that was restored: versions that were committed after the
// backup, and replicas that came after it.
type AdoptReplicas struct {
	BE     types.BEID      `cbor:"1,keyasint"`
	Items  []ReplicaReport `cbor:"2,keyasint"`
	Last   bool            `cbor:"3,keyasint,omitempty"` // the BE has nothing more
	TimeMs int64           `cbor:"4,keyasint"`
}

// EndRestore goes on without the BEs that have not told what they hold. What is on them is replaced where others could have gone on
// without it: versions that only they have are given once more.
type EndRestore struct {
	TimeMs int64 `cbor:"1,keyasint"`
}

// Type returns TypeRestoreMetadata.
func (*RestoreMetadata) Type() Type { return TypeRestoreMetadata }

// Type returns TypeRestoreInPlace.
func (*RestoreInPlace) Type() Type { return TypeRestoreInPlace }

// Type returns TypeAdoptReplicas.
func (*AdoptReplicas) Type() Type { return TypeAdoptReplicas }

// Type returns TypeEndRestore.
func (*EndRestore) Type() Type { return TypeEndRestore }
