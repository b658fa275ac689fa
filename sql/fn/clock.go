package fn

import (
	"strconv"
	"time"

	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// fspParams: functions of the current time take their precision as a parameter ("now:3").
var fspParams = []string{"", "0", "1", "2", "3", "4", "5", "6"}

// nowDef declares a function of the statement time; f turns the UTC microseconds into the value.
func nowDef(kind types.Kind, syntax, doc string, f func(micros int64, loc *time.Location) int64, names ...string) Def {
	return Def{Name: names[0], Aliases: names[1:], Group: "date", Syntax: syntax, Doc: doc, Min: 0, Max: 0, Params: fspParams, Context: true,
		Rule: func(param string, _ []T) ([]T, T, error) {
			fsp, _ := strconv.Atoi(param)
			return nil, T{Kind: kind, Scale: int32(fsp)}, nil
		},
		Row: func(c *Call, _ []vec.Value) (vec.Value, error) {
			unit := sqltypes.Pow10Int64(6 - c.Result.Scale)
			return vec.Int(f(c.env().NowMicros/unit*unit, c.Ctx.Location())), nil
		}}
}

func init() {
	register(
		nowDef(types.KindDateTime, "NOW([fsp])", "The time at which the statement began.", sqltypes.UTCToLocal, "now", "current_timestamp", "localtime", "localtimestamp", "sysdate"),
		nowDef(types.KindDate, "CURDATE()", "Today.", func(m int64, loc *time.Location) int64 {
			d, _ := sqltypes.FloorDay(sqltypes.UTCToLocal(m, loc))
			return d
		}, "curdate", "current_date"),
		nowDef(types.KindTime, "CURTIME([fsp])", "The time of day.", func(m int64, loc *time.Location) int64 {
			_, r := sqltypes.FloorDay(sqltypes.UTCToLocal(m, loc))
			return r
		}, "curtime", "current_time"),
		nowDef(types.KindDateTime, "UTC_TIMESTAMP([fsp])", "The statement's time in UTC.", func(m int64, _ *time.Location) int64 { return m }, "utc_timestamp"),
		nowDef(types.KindDate, "UTC_DATE()", "Today in UTC.", func(m int64, _ *time.Location) int64 { d, _ := sqltypes.FloorDay(m); return d }, "utc_date"),
		nowDef(types.KindTime, "UTC_TIME([fsp])", "The time of day in UTC.", func(m int64, _ *time.Location) int64 { _, r := sqltypes.FloorDay(m); return r }, "utc_time"),
		Def{Name: "unix_timestamp", Group: "date", Syntax: "UNIX_TIMESTAMP([d])", Doc: "Seconds since 1970-01-01 UTC of d, or of now.", Min: 0, Max: 1, Context: true, Rule: unixTimestampRule, Row: unixTimestamp},
		Def{Name: "from_unixtime", Group: "date", Syntax: "FROM_UNIXTIME(n[, format])", Doc: "The local time of seconds since 1970-01-01 UTC.", Min: 1, Max: 2, Context: true, TakesNull: true, Rule: fromUnixtimeRule, Row: nullable(fromUnixtime)},
		Def{Name: "convert_tz", Group: "date", Syntax: "CONVERT_TZ(d, from, to)", Doc: "A datetime of one time zone in another; NULL for an unknown zone.", Min: 3, Max: 3, Context: true, TakesNull: true,
			Rule: func(_ string, a []T) ([]T, T, error) {
				d := dateTime(asDate(a[0]).Scale)
				return []T{d, tStr, tStr}, d, nil
			}, Prepare: prepareZones, Row: nullable(convertTZ)},
	)
}

func unixTimestampRule(_ string, a []T) ([]T, T, error) {
	if len(a) == 0 {
		return nil, tInt, nil
	}
	t := a[0]
	t.NotNull = false
	if t.Kind != types.KindTimestamp {
		t = dateTime(asDate(t).Scale)
	}
	if t.Scale == 0 {
		return []T{t}, tInt, nil
	}
	return []T{t}, decimal(12+t.Scale, t.Scale), nil
}

func unixTimestamp(c *Call, a []vec.Value) (vec.Value, error) {
	if len(a) == 0 {
		return vec.Int(c.env().NowMicros / sqltypes.Second), nil
	}
	m := a[0].I
	if c.Args[0].Kind != types.KindTimestamp {
		m = sqltypes.LocalToUTC(m, c.Ctx.Location())
	}
	if m < 0 {
		m = 0
	}
	return vec.Int(m / sqltypes.Pow10Int64(6-c.Result.Scale)), nil
}

func fromUnixtimeRule(_ string, a []T) ([]T, T, error) {
	s := secondsType(a[0])
	if len(a) == 2 {
		return []T{s, tStr}, tStr, nil
	}
	return []T{s}, dateTime(s.Scale), nil
}

// maxUnixTime is the last second that FROM_UNIXTIME takes: 3001-01-18 23:59:59 UTC.
const maxUnixTime = 32536771199

func fromUnixtime(c *Call, a []vec.Value) (vec.Value, error) {
	m, ok := secondsOf(a[0].I, c.Args[0])
	if !ok || m < 0 || m >= (maxUnixTime+1)*sqltypes.Second {
		return vec.NullValue(), nil
	}
	m = sqltypes.UTCToLocal(m, c.Ctx.Location())
	if len(a) == 1 {
		return vec.Int(m), nil
	}
	days, rest := sqltypes.FloorDay(m)
	return vec.Str(formatDate(a[1].B, days, rest)), nil
}

// zones are the constant zones of CONVERT_TZ; nil where not constant or unknown.
type zones struct{ from, to *time.Location }

func prepareZones(c *Call) error {
	z := &zones{}
	for i, dst := range []**time.Location{&z.from, &z.to} {
		v := c.Const[i+1]
		if v == nil || v.Null {
			continue
		}
		if loc, err := sqltypes.LoadLocation(string(v.B), c.Ctx.Location()); err == nil {
			*dst = loc
		}
	}
	c.State = z
	return nil
}

func convertTZ(c *Call, a []vec.Value) (vec.Value, error) {
	z := c.State.(*zones)
	from, to := z.from, z.to
	var err error
	if from == nil {
		if from, err = sqltypes.LoadLocation(string(a[1].B), c.Ctx.Location()); err != nil {
			return vec.NullValue(), nil
		}
	}
	if to == nil {
		if to, err = sqltypes.LoadLocation(string(a[2].B), c.Ctx.Location()); err != nil {
			return vec.NullValue(), nil
		}
	}
	utc := sqltypes.LocalToUTC(a[0].I, from)
	if utc < sqltypes.Second || utc >= (lastConverted+1)*sqltypes.Second {
		return dateTimeInRange(a[0].I), nil
	}
	return dateTimeInRange(sqltypes.UTCToLocal(utc, to)), nil
}

// lastConverted is the last second that CONVERT_TZ converts, 3001-01-18 23:59:59 UTC; what lies outside stays as it is.
const lastConverted = 32536771199
