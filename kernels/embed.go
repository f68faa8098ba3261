//go:build !kernels_generate

package kernels

import "embed"

//go:embed ptx/*.ptx
var embedded embed.FS
