package define

import (
	"strconv"
	"strings"
	"time"

	"stele/meta/types"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
)

// CheckProperty reads a property that has no effect here as strictly as the system that it comes from, so that a script
// with a slip in it is told so. medium is what the statement asks for, nil when it does not say.
func CheckProperty(key, value string, medium *types.Medium, nowMicros int64, zone *time.Location) error {
	switch key {
	case "bucket_size", "mutable_bucket_num":
		if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil || n < 0 {
			return errorf(errno.WrongArguments, "Illegal %s: %s", strings.ReplaceAll(key, "_", " "), value)
		}
	case "storage_cooldown_time":
		if medium != nil && *medium == types.MediumHDD {
			return errorf(errno.WrongArguments, "Can not assign cooldown timestamp to HDD storage medium")
		}
		if zone == nil {
			zone = time.UTC
		}
		at, ok := sqltypes.ParseDateTime([]byte(value), zone)
		if !ok {
			return errorf(errno.WrongArguments, "Invalid storage cooldown time: %s", value)
		}
		_, offset := time.UnixMicro(nowMicros).In(zone).Zone()
		if at.Micros <= nowMicros+int64(offset)*1_000_000 {
			return errorf(errno.WrongArguments, "Cooldown time should be later than now")
		}
	}
	return nil
}
