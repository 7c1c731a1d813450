// Reads Compose files as `docker compose config` does, with Compose's own loader and schema, and
// prints the project they make together: an unknown key, a wrong type, a variable that must be set
// and is not, or a name that is nowhere declared is an error. Variables are those of the environment.
//
//	compose FILE.yaml...
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	text, err := read(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(string(text))
}

// read loads the files as one project.
func read(files []string) ([]byte, error) {
	options, err := cli.NewProjectOptions(files, cli.WithOsEnv)
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	return project.MarshalYAML()
}
