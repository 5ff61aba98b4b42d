// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"butler.example/client/butler"
)

type object = map[string]any

type expectedError struct {
	Code     codes.Code        `json:"code"`
	Reason   string            `json:"reason"`
	Metadata map[string]string `json:"metadata"`
}

type step struct {
	Name        string          `json:"name"`
	Do          string          `json:"do"`
	With        json.RawMessage `json:"with"`
	Expect      any             `json:"expect"`
	ExpectError *expectedError  `json:"expect_error"`
	Save        string          `json:"save"`
}

// arguments are those of all operations; each uses some.
type arguments struct {
	Content struct {
		Text string `json:"text"`
		Size int    `json:"size"`
	} `json:"content"`
	Run          string      `json:"run"`
	DatasetType  string      `json:"dataset_type"`
	StorageClass string      `json:"storage_class"`
	Formatter    string      `json:"formatter"`
	Extension    string      `json:"extension"`
	DataID       object      `json:"data_id"`
	Collections  []string    `json:"collections"`
	Offset       int64       `json:"offset"`
	Limit        int64       `json:"limit"`
	Dimensions   []string    `json:"dimensions"`
	Where        string      `json:"where"`
	Bind         object      `json:"bind"`
	OrderBy      []string    `json:"order_by"`
	PageSize     int32       `json:"page_size"`
	IDs          []uuid.UUID `json:"ids"`
	From         string      `json:"from"`
	DatasetTypes []string    `json:"dataset_types"`
	Events       int         `json:"events"`
}

func (a arguments) content() []byte {
	content := []byte(a.Content.Text)
	if a.Content.Size == 0 {
		return content
	}
	return bytes.Repeat(content, a.Content.Size/len(content)+1)[:a.Content.Size]
}

func (a arguments) filter() butler.Filter {
	return butler.Filter{Where: a.Where, Bind: numbers(a.Bind), OrderBy: a.OrderBy, PageSize: a.PageSize}
}

// conform does the steps of a file, and returns how the first differs that does.
func conform(ctx context.Context, client *butler.Client, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var script struct{ Steps []json.RawMessage }
	if err := json.Unmarshal(content, &script); err != nil {
		return err
	}
	saved := map[string]string{}
	for _, raw := range script.Steps {
		// What was saved is text without anything to escape, so it can be put in before the step is read.
		text := string(raw)
		for name, value := range saved {
			text = strings.ReplaceAll(text, `"$`+name+`"`, `"`+value+`"`)
		}
		var next step
		if err := read(text, &next); err != nil {
			return err
		}
		given, toSave, err := do(ctx, client, next)
		if err := compare(next, given, err); err != nil {
			return fmt.Errorf("%s: %w", next.Name, err)
		}
		if next.Save != "" {
			saved[next.Save] = toSave
		}
		fmt.Println("ok", next.Name)
	}
	return nil
}

func read(text string, into any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// do does a step; it returns what it gave, and what of that can be saved.
func do(ctx context.Context, client *butler.Client, next step) (given object, save string, err error) {
	var with arguments
	if err := read(string(next.With), &with); err != nil {
		return nil, "", err
	}
	switch next.Do {
	case "checksum":
		return object{"crc32c": butler.Checksum(with.content())}, "", nil
	case "position":
		position, err := client.Position(ctx)
		return object{}, base64.StdEncoding.EncodeToString(position), err
	case "put":
		return put(ctx, client, with)
	case "find":
		given, err = find(ctx, client, with)
	case "get":
		given, err = get(ctx, client, with)
	case "query_datasets", "query_data_ids":
		given, err = query(ctx, client, next.Do, with)
	case "prune":
		given, err = prune(ctx, client, with)
	case "watch":
		given, err = watch(ctx, client, with)
	default:
		err = fmt.Errorf("this client does not know how to do %q", next.Do)
	}
	return given, "", err
}

func put(ctx context.Context, client *butler.Client, with arguments) (object, string, error) {
	id, receipt, err := client.Put(ctx, butler.Placement{
		Run:          with.Run,
		DatasetType:  with.DatasetType,
		StorageClass: with.StorageClass,
		DataID:       numbers(with.DataID),
		Formatter:    with.Formatter,
		Extension:    with.Extension,
	}, bytes.NewReader(with.content()))
	if err != nil {
		return nil, "", err
	}
	return object{"size": receipt.Size, "checksum": receipt.Checksum}, id.String(), nil
}

func find(ctx context.Context, client *butler.Client, with arguments) (object, error) {
	found, err := client.Find(ctx, with.DatasetType, numbers(with.DataID), with.Collections)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return object{"id": nil}, nil
	}
	return object{
		"id": found.ID, "run": found.Run, "data_id": found.DataID, "size": found.Record.GetSize(),
	}, nil
}

func get(ctx context.Context, client *butler.Client, with arguments) (object, error) {
	found, err := client.Find(ctx, with.DatasetType, numbers(with.DataID), with.Collections)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("there is no such dataset to get")
	}
	var content bytes.Buffer
	if err := client.Read(ctx, found, with.Offset, with.Limit, &content); err != nil {
		return nil, err
	}
	given := object{"size": content.Len(), "sha256": fmt.Sprintf("%x", sha256.Sum256(content.Bytes()))}
	if content.Len() <= 1000 {
		given["text"] = content.String()
	}
	return given, nil
}

func query(ctx context.Context, client *butler.Client, kind string, with arguments) (object, error) {
	pages, rows := []int{}, []butler.Row{}
	each := func(page []butler.Row) error {
		pages, rows = append(pages, len(page)), append(rows, page...)
		return nil
	}
	var err error
	if kind == "query_datasets" {
		err = client.QueryDatasets(ctx, with.DatasetType, with.Collections, with.filter(), each)
	} else {
		err = client.QueryDataIDs(ctx, with.Dimensions, with.filter(), each)
	}
	return object{"pages": pages, "rows": rows}, err
}

func prune(ctx context.Context, client *butler.Client, with arguments) (object, error) {
	summary, err := client.Prune(ctx, with.IDs)
	if err != nil {
		return nil, err
	}
	return object{"datasets": summary.Datasets, "artifacts": summary.Artifacts, "size": summary.Size}, nil
}

func watch(ctx context.Context, client *butler.Client, with arguments) (object, error) {
	position, err := base64.StdEncoding.DecodeString(with.From)
	if err != nil {
		return nil, err
	}
	events := []object{}
	_, err = client.Watch(ctx, position, with.DatasetTypes, func(event butler.Event) bool {
		kind := strings.TrimPrefix(event.Kind.String(), "DATASET_EVENT_KIND_")
		next := object{"kind": kind, "dataset_type": event.DatasetType, "run": event.Run, "ids": event.IDs}
		if len(events) == 0 || !reflect.DeepEqual(events[len(events)-1], next) {
			events = append(events, next)
		}
		return len(events) < with.Events
	})
	return object{"events": events}, err
}

// compare returns how what a step gave differs from what it is to give, nil if it does not.
func compare(next step, given object, err error) error {
	wanted := next.ExpectError
	if wanted == nil {
		if err != nil {
			return err
		}
		return same(next.Expect, given)
	}
	said, typed := butler.ProblemOf(err)
	if !typed {
		return fmt.Errorf("gave %v and %v, not a typed error", given, err)
	}
	if said.Code != wanted.Code || said.Reason != wanted.Reason {
		return fmt.Errorf("failed with %v %s, not with %v %s", said.Code, said.Reason, wanted.Code, wanted.Reason)
	}
	for name, value := range wanted.Metadata {
		if said.Metadata[name] != value {
			return fmt.Errorf("the error says %q of %s, not %q", said.Metadata[name], name, value)
		}
	}
	return nil
}

func same(wanted, given any) error {
	text, err := json.Marshal(given)
	if err != nil {
		return err
	}
	var plain any
	if err := read(string(text), &plain); err != nil {
		return err
	}
	if !matches(wanted, plain) {
		wantedText, _ := json.Marshal(wanted)
		return fmt.Errorf("gave %s, not %s", text, wantedText)
	}
	return nil
}

// matches tells whether what was given has all that is wanted: of objects only the members that are named.
func matches(wanted, given any) bool {
	switch wanted := wanted.(type) {
	case object:
		has, is := given.(object)
		for name, value := range wanted {
			present, there := has[name]
			if !there || !matches(value, present) {
				return false
			}
		}
		return is
	case []any:
		has, is := given.([]any)
		if !is || len(has) != len(wanted) {
			return false
		}
		for i := range wanted {
			if !matches(wanted[i], has[i]) {
				return false
			}
		}
		return true
	default:
		return wanted == given
	}
}

// numbers returns values with the numbers of JSON as integers, or else as doubles.
func numbers(values object) object {
	made := maps.Clone(values)
	for name, value := range made {
		number, is := value.(json.Number)
		if !is {
			continue
		}
		if whole, err := number.Int64(); err == nil {
			made[name] = whole
		} else if real, err := number.Float64(); err == nil {
			made[name] = real
		}
	}
	return made
}
