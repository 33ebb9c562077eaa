// Command xaproxy is one MySQL endpoint in front of many databases: it routes each statement to the shards that hold
// the rows and makes the client's transaction atomic across them.
//
// One file per subcommand; each reads its flags, wires packages together and turns errors into an exit status.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	err := rootCommand().Execute()
	if err != nil && err.Error() != "" {
		fmt.Fprintln(os.Stderr, "xaproxy:", err)
	}
	os.Exit(exitCode(err))
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "xaproxy",
		Short:         "One MySQL endpoint in front of many databases, with atomic transactions across them",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(), recoverCommand(), checkCommand(), explainCommand(), demoCommand(), statusCommand(), topCommand(), reloadCommand(), ddlCommand(), doctorCommand(), versionCommand())
	return root
}
