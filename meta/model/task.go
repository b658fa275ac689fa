package model

import "stele/meta/types"

// Task is a repair or a move of the control loop that has ended, or that has failed and is tried again, as it is kept for
// whoever asks later. Kind, Status, State, priorities and the kind of an attempt are numbers of fe/sched.
type Task struct {
	Tablet        types.TabletID `cbor:"1,keyasint"`
	Kind          uint8          `cbor:"2,keyasint,omitempty"`
	Medium        types.Medium   `cbor:"3,keyasint,omitempty"`
	Status        uint8          `cbor:"4,keyasint,omitempty"`
	State         uint8          `cbor:"5,keyasint,omitempty"`
	OrigPrio      uint8          `cbor:"6,keyasint,omitempty"`
	DynmPrio      uint8          `cbor:"7,keyasint,omitempty"`
	SrcBE         types.BEID     `cbor:"8,keyasint,omitempty"`
	SrcDisk       types.DiskID   `cbor:"9,keyasint,omitempty"`
	DestBE        types.BEID     `cbor:"10,keyasint,omitempty"`
	DestDisk      types.DiskID   `cbor:"11,keyasint,omitempty"`
	TimeoutMs     int64          `cbor:"12,keyasint,omitempty"`
	CreatedMs     int64          `cbor:"13,keyasint,omitempty"`
	LastSchedMs   int64          `cbor:"14,keyasint,omitempty"`
	LastVisitMs   int64          `cbor:"15,keyasint,omitempty"`
	FinishedMs    int64          `cbor:"16,keyasint,omitempty"`
	Bytes         int64          `cbor:"17,keyasint,omitempty"`
	ElapsedMs     int64          `cbor:"18,keyasint,omitempty"`
	FailedSched   int            `cbor:"19,keyasint,omitempty"`
	FailedRunning int            `cbor:"20,keyasint,omitempty"`
	LastAdjPrioMs int64          `cbor:"21,keyasint,omitempty"`
	Version       types.Version  `cbor:"22,keyasint,omitempty"`
	Err           string         `cbor:"23,keyasint,omitempty"`
	Full          bool           `cbor:"24,keyasint,omitempty"`
	Local         bool           `cbor:"25,keyasint,omitempty"`
	Attempts      []Attempt      `cbor:"26,keyasint,omitempty"`
}

// Attempt is a clone that failed.
type Attempt struct {
	AtMs   int64      `cbor:"1,keyasint"`
	Src    types.BEID `cbor:"2,keyasint,omitempty"`
	Dest   types.BEID `cbor:"3,keyasint,omitempty"`
	Kind   uint8      `cbor:"4,keyasint,omitempty"`
	Reason string     `cbor:"5,keyasint,omitempty"`
}
