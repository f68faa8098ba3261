// A driver library without a GPU, for the tests of the native implementation of
// the seam: memory is malloc's, work is done when it is put in, and the one
// kernel writes what it was launched with. Compiled by the tests where there is a
// C compiler; the macros choose what is wrong with it.
//
// INIT_RESULT: what cuInit returns. DEVICES: how many there are. VERSION: of CUDA.
// Functions that are not here make it an old driver.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef INIT_RESULT
#define INIT_RESULT 0
#endif
#ifndef DEVICES
#define DEVICES 1
#endif
#ifndef VERSION
#define VERSION 11020
#endif

typedef int CUresult;
typedef void *handle;
typedef uint64_t deviceptr;

static __thread handle current;
static char context;
static int released;

// An int that a driver returns has 4 bytes; the next 4 are not its own, and a
// reader who takes them for part of it must see that they are not 0.
static CUresult put(int *p, int v) { p[0] = v; p[1] = 0x7badbad0; return 0; }

CUresult cuInit(unsigned flags) { return flags ? 1 : INIT_RESULT; }
CUresult cuDriverGetVersion(int *v) { return put(v, VERSION); }
CUresult cuDeviceGetCount(int *n) { return put(n, DEVICES); }
CUresult cuDeviceGet(int *d, int ordinal) { return put(d, ordinal + 40); }
CUresult cuDeviceGetName(char *name, int len, int d) { strncpy(name, d == 40 ? "Fake GPU" : "?", len); return 0; }
CUresult cuDeviceTotalMem_v2(size_t *n, int d) { *n = (size_t)5 << 32 | d; return 0; }
CUresult cuDeviceGetAttribute(int *v, int a, int d) { return a < 0 ? 1 : put(v, -a * 100 - d); }
CUresult cuDevicePrimaryCtxRetain(handle *c, int d) { *c = &context; return d == 40 ? 0 : 101; }
CUresult cuDevicePrimaryCtxRelease_v2(int d) { released++; return d == 40 ? 0 : 101; }
CUresult cuCtxGetCurrent(handle *c) { *c = current; return 0; }
CUresult cuCtxSetCurrent(handle c) { current = c; return 0; }
CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) { put(least, 0); return put(greatest, -5); }

#define NEED_CONTEXT if (current != &context) return 201

CUresult cuMemAlloc_v2(deviceptr *p, size_t n) {
	NEED_CONTEXT;
	if (n > (size_t)1 << 40) return 2;
	*p = (deviceptr)malloc(n);
	return 0;
}
CUresult cuMemFree_v2(deviceptr p) { NEED_CONTEXT; free((void *)p); return 0; }
CUresult cuMemGetInfo_v2(size_t *f, size_t *t) { NEED_CONTEXT; *f = 1000; *t = (size_t)3 << 33; return 0; }
CUresult cuMemcpyHtoD_v2(deviceptr d, const void *s, size_t n) { NEED_CONTEXT; memcpy((void *)d, s, n); return 0; }
CUresult cuMemcpyDtoH_v2(void *d, deviceptr s, size_t n) { NEED_CONTEXT; memcpy(d, (void *)s, n); return 0; }
CUresult cuMemHostAlloc(void **p, size_t n, unsigned flags) { NEED_CONTEXT; *p = malloc(n); return flags > 7; }
CUresult cuMemFreeHost(void *p) { NEED_CONTEXT; free(p); return 0; }
CUresult cuMemcpyHtoDAsync_v2(deviceptr d, const void *s, size_t n, handle stream) { return stream ? cuMemcpyHtoD_v2(d, s, n) : 400; }

CUresult cuStreamCreateWithPriority(handle *s, unsigned flags, int priority) {
	NEED_CONTEXT;
	int *stream = malloc(4);
	*stream = priority;
	*s = stream;
	return flags == 1 ? 0 : 1;
}
CUresult cuStreamDestroy_v2(handle s) { NEED_CONTEXT; free(s); return 0; }
CUresult cuStreamSynchronize(handle s) { NEED_CONTEXT; return s ? 0 : 400; }

// cuEventElapsedTime has a float behind a pointer; 1.5 is what it always says.
CUresult cuEventCreate(handle *e, unsigned flags) { NEED_CONTEXT; *e = malloc(1); return flags; }
CUresult cuEventDestroy_v2(handle e) { NEED_CONTEXT; free(e); return 0; }
CUresult cuEventElapsedTime(float *ms, handle a, handle b) { NEED_CONTEXT; ms[0] = 1.5f; ms[1] = 7; return a && b ? 0 : 400; }

// An image that contains "bad" does not assemble. The log comes back through the
// options: 5 is the error log's buffer, 6 its size.
CUresult cuModuleLoadDataEx(handle *m, const char *image, unsigned n, int *names, void **values) {
	NEED_CONTEXT;
	*m = &context;
	if (!strstr(image, "bad")) return 0;
	const char *text = "ptxas application ptx input, line 1; fatal   : not PTX";
	for (unsigned i = 0; i + 1 < n; i++)
		if (names[i] == 5 && names[i + 1] == 6) {
			size_t room = (unsigned)(uintptr_t)values[i + 1], len = strlen(text) + 1;
			if (len > room) len = room;
			memcpy(values[i], text, len);
			values[i + 1] = (void *)len;
		}
	return 218;
}
CUresult cuModuleUnload(handle m) { NEED_CONTEXT; return m == &context ? 0 : 400; }
CUresult cuModuleGetFunction(handle *f, handle m, const char *name) {
	NEED_CONTEXT;
	*f = "kernel";
	return strcmp(name, "kernel") ? 500 : 0;
}

// The kernel's parameters: where to write, and values of 1, 2, 4 and 8 bytes.
CUresult cuLaunchKernel(handle f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
			unsigned shared, handle stream, void **params, void **extra) {
	if (VERSION < 12000) NEED_CONTEXT; // later drivers take it from the stream
	if (strcmp(f, "kernel") || !stream || extra) return 1;
	if (gx == 0xffffffff) return 701;
	if (!params) return 0;
	uint64_t *out = *(uint64_t **)params[0];
	uint64_t seen[] = {gx, gy, gz, bx, by, bz, shared, *(int *)stream,
		*(uint8_t *)params[1], *(uint16_t *)params[2], *(uint32_t *)params[3], *(uint64_t *)params[4]};
	memcpy(out, seen, sizeof seen);
	return 0;
}

int fakeReleased(void) { return released; }
