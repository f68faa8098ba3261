// Package digits holds a public data set of 1797 handwritten digits for the
// examples and tests. README.md beside it names its source and licence.
package digits

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
)

//go:embed digits.csv.gz
var file []byte

// Pixels is the number of pixels of an image: 8×8, row by row.
const Pixels = 64

// Load returns the images, Pixels values from 0 to 16 each, one after another,
// and the digit that each shows.
func Load() (images, labels []uint8, err error) {
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, nil, fmt.Errorf("digits: %w", err)
	}
	r := csv.NewReader(z)
	r.FieldsPerRecord = Pixels + 1
	lines, err := r.ReadAll()
	if err != nil {
		return nil, nil, fmt.Errorf("digits: %w", err)
	}
	for _, line := range lines {
		for i, field := range line {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				return nil, nil, fmt.Errorf("digits: %w", err)
			}
			if i < Pixels {
				images = append(images, uint8(v))
			} else {
				labels = append(labels, uint8(v))
			}
		}
	}
	return images, labels, nil
}
