// SPDX-License-Identifier: BSD-3-Clause

package butler

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Problem is what a service said of a call that failed. Decide by its reason, never by the message.
type Problem struct {
	// Code is the canonical code, such as NotFound.
	Code codes.Code
	// Reason is one of the table in docs/protocol.md, such as "MISSING_COLLECTION".
	Reason string
	// Metadata names what the error is about.
	Metadata map[string]string
}

// ProblemOf returns what a service said, and whether it said anything: an error without ErrorInfo comes from the
// network, or from what lies between.
func ProblemOf(err error) (Problem, bool) {
	said, ok := status.FromError(err)
	if !ok {
		return Problem{}, false
	}
	for _, detail := range said.Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is && info.Domain == "butler" {
			return Problem{said.Code(), info.Reason, info.Metadata}, true
		}
	}
	return Problem{}, false
}
