package digits

import "testing"

// The counts are those that the data set's documentation gives for each class.
func TestLoad(t *testing.T) {
	images, labels, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(images) != 1797*Pixels || len(labels) != 1797 {
		t.Fatalf("%d pixels and %d labels, want %d and 1797", len(images), len(labels), 1797*Pixels)
	}
	var count [10]int
	for _, l := range labels {
		count[l]++
	}
	if want := [10]int{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}; count != want {
		t.Errorf("digits per class %v, want %v", count, want)
	}
	for i, p := range images {
		if p > 16 {
			t.Fatalf("pixel %d of image %d is %d, want at most 16", i%Pixels, i/Pixels, p)
		}
	}
}
