package tablet

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// proveEnv makes the tests of this package go all the way (make prove-storage): more random histories, a fault at every write,
// tens of thousands of tablets. Without it they take a sample of the same, another one each time, in a few seconds.
const proveEnv = "STELE_PROVE"

var proving = os.Getenv(proveEnv) != ""

// upTo returns all when proving, else a sample.
func upTo(all, sample int) int {
	if proving {
		return all
	}
	return sample
}

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", fmt.Sprint(upTo(300, 15))); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
