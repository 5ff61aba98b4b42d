// SPDX-License-Identifier: BSD-3-Clause

// Command butler-client does what a file of examples/conformance says.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"butler.example/client/butler"
)

func main() {
	if len(os.Args) != 4 || os.Args[1] != "conformance" {
		fmt.Fprintln(os.Stderr, "usage: butler-client conformance FILE ADDRESS")
		os.Exit(2)
	}
	if err := run(os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	client, err := butler.Connect(ctx, address, butler.OptionsFromEnvironment())
	if err != nil {
		return err
	}
	defer client.Close()
	return conform(ctx, client, file)
}
