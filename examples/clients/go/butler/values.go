// SPDX-License-Identifier: BSD-3-Clause

package butler

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"butler.example/client/build/api"
)

// DataID says which dataset is meant: an int64 or a string by dimension. A key may also be a field of a dimension that
// is unique, such as "detector.full_name"; the service finds the dimension's value.
type DataID map[string]any

// table returns the table of one data ID.
func (d DataID) table() (*api.Table, error) {
	table := &api.Table{Rows: 1}
	for name, value := range d {
		column := &api.Column{Name: name}
		switch value := value.(type) {
		case int64:
			column.Values = &api.Column_Ints{Ints: &api.IntColumn{Values: []int64{value}}}
		case string:
			strings := &api.StringColumn{Dictionary: []string{value}, Indexes: []uint32{0}}
			column.Values = &api.Column_Strings{Strings: strings}
		default:
			return nil, fmt.Errorf("%s of the data ID is a %T; it must be an int64 or a string", name, value)
		}
		table.Columns = append(table.Columns, column)
	}
	return table, nil
}

// plain returns what a value holds, nil for none.
func plain(value *api.Value) any {
	switch kind := value.GetKind().(type) {
	case *api.Value_IntValue:
		return kind.IntValue
	case *api.Value_StringValue:
		return kind.StringValue
	case *api.Value_FloatValue:
		return kind.FloatValue
	case *api.Value_BoolValue:
		return kind.BoolValue
	default:
		return nil
	}
}

// bound returns the value of a name in an expression.
func bound(value any) (*api.BindValue, error) {
	made := &api.Value{}
	switch value := value.(type) {
	case int64:
		made.Kind = &api.Value_IntValue{IntValue: value}
	case string:
		made.Kind = &api.Value_StringValue{StringValue: value}
	case float64:
		made.Kind = &api.Value_FloatValue{FloatValue: value}
	default:
		return nil, fmt.Errorf("%v is a %T, which this client does not bind", value, value)
	}
	return &api.BindValue{Kind: &api.BindValue_Value{Value: made}}, nil
}

// Row is a row of a result, by column.
type Row map[string]any

// rows returns the rows of a table. Columns of kinds that this client does not know are left out.
func rows(table *api.Table) ([]Row, error) {
	made := make([]Row, table.Rows)
	for i := range made {
		made[i] = Row{}
	}
	for _, column := range table.Columns {
		for i, row := range made {
			if slices.Contains(column.NullRows, uint32(i)) {
				row[column.Name] = nil
				continue
			}
			switch values := column.Values.(type) {
			case *api.Column_Ints:
				row[column.Name] = values.Ints.Values[i]
			case *api.Column_Strings:
				row[column.Name] = values.Strings.Dictionary[values.Strings.Indexes[i]]
			case *api.Column_Floats:
				row[column.Name] = values.Floats.Values[i]
			case *api.Column_Bools:
				row[column.Name] = values.Bools.Values[i]
			case *api.Column_Uuids:
				id, err := uuid.FromBytes(values.Uuids[16*i : 16*i+16])
				if err != nil {
					return nil, err
				}
				row[column.Name] = id
			}
		}
	}
	return made, nil
}

// newRequest returns the id of a mutation.
func newRequest() []byte {
	id := uuid.New()
	return id[:]
}
