package ddl

import "time"

// SetGrace sets how long a BE that is silent is waited for once there are enough replicas without it.
func (d *Tables) SetGrace(grace time.Duration) { d.grace = grace }

// SetPatience sets how long a statement waits for BEs that may just be restarting.
func (d *Tables) SetPatience(patience time.Duration) { d.patience = patience }
