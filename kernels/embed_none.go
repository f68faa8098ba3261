//go:build kernels_generate

package kernels

import "embed"

// The generator is built without the files that it writes.
var embedded embed.FS
