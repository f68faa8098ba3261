// Compiled by TestClang for the processor and for the simulated device: each
// function answers for a thread i from in[i] to in[i+63], and must answer alike.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long long u64;

#ifdef __CUDA__
#define BOTH __attribute__((device, noinline))
#define DATA __attribute__((device))
#else
#define BOTH
#define DATA
#endif

struct Bits { unsigned a : 3; int b : 7; unsigned c : 11; unsigned long long d : 37; int e : 6; };
struct Padded { u8 a; int b; double c; u16 d; };
struct Large { u8 a; u64 v[20]; u16 z; };
struct Some { int n; u32 v[6]; };

BOTH u64 bits(const u32 *in, int i) {
	Bits s, t;
	s.a = in[i], s.b = in[i + 1], s.c = in[i + 2], s.d = (u64)in[i] * in[i + 3], s.e = in[i + 4];
	t = s;
	t.c += s.a, t.b -= s.e;
	return t.b < 0 ? t.d + t.c : s.d * 31 + t.a - t.e;
}

BOTH Some take(const u32 *in, int n) {
	Some s;
	s.n = n;
	for (int k = 0; k < n; k++)
		s.v[k] = in[k];
	return s;
}

BOTH u64 copies(const u32 *in, int i) {
	Padded p[2];
	p[0].a = in[i], p[0].b = in[i + 1], p[0].c = in[i + 2] * 0.5, p[0].d = i;
	p[1] = p[0];
	p[1].b++;
	Padded q = p[in[i] & 1];
	Large l, m;
	l.a = 1, l.z = 2;
	for (int k = 0; k < 20; k++)
		l.v[k] = in[i + k];
	m = l;
	Some s = take(in + i, in[i] % 7);
	u64 h = q.a + q.b + (u64)q.c + q.d + m.v[in[i] % 20] * m.z;
	for (int k = 0; k < s.n; k++)
		h = h * 31 + s.v[k];
	return h;
}

BOTH u64 divisions(const u32 *in, int i) {
	u64 a = (u64)in[i] << 32 | in[i + 1], b = in[i + 2] & 3, h = 0;
	for (int k = 0; k < 5; k++)
		h = h * 3 + (b == 0 ? a : a / b) + (in[i + k] % 5 == 0 ? k : in[i] % (in[i + k] % 5));
	unsigned __int128 p = (unsigned __int128)a * (a ^ h);
	return h ^ (u64)(p >> 64) ^ (u64)(p >> (in[i] & 63)) ^ (u64)((long long)a / -7);
}

DATA const char *const words[] = {"one", "three", "", "seventeen"};

BOTH u64 tables(const u32 *in, int i) {
	u64 h = 0;
	for (const char *s = words[in[i] & 3]; *s; s++)
		h = h * 257 + *s;
	u32 v[8];
	for (int k = 0; k < 8; k++)
		v[k] = in[i + k];
	for (int k = 0; k < 30; k++)
		switch (v[k & 7] % 9) {
		case 0: v[k & 3] += k; break;
		case 1: v[v[2] & 7] ^= h; break;
		case 3: v[7] = v[k & 7] >> 3;
		case 4: v[v[1] & 7]--; break;
		case 5: v[5] = v[5] << 7 | v[5] >> 25; break;
		case 8: h++; break;
		default: v[k & 7] = v[k & 7] * 2654435761u + 1;
		}
	return h ^ v[in[i] & 7] ^ (u64)v[3] << 32;
}

BOTH u64 floats(const u32 *in, int i) {
	float x = (int)in[i] * 1e-8f, e = 1, t = 1;
	double y = in[i + 1] * 1e-9, s = 1;
	for (int k = 1; k < 12; k++)
		e += t = t * x / k;
	for (int k = 0; k < 6; k++)
		s = 0.5 * (s + y / s);
	__fp16 h = e;
	e = h;
	u32 a;
	u64 b;
	__builtin_memcpy(&a, &e, 4);
	__builtin_memcpy(&b, &s, 8);
	return a ^ b ^ (u64)(long long)(x * 1e6f) ^ (e < s ? 1 : 2);
}

BOTH u64 ways(const u32 *in, int i) {
	u64 h = 1;
	for (u32 x = in[i], k = 0; x != 1 && k < 60; k++) {
		if (x % 11 == 3)
			continue;
		if (x & 1 ? x > 4000000000u : x % 7 == 6 && h & 2)
			break;
		x = x & 1 ? 3 * x + 1 : x >> 1;
		h = h * 5 + x;
	}
	return h;
}

#define ALL(f) f(bits) f(copies) f(divisions) f(tables) f(floats) f(ways)
enum { functions = 6, threads = 64 };
#define ANSWER(f) *out++ = f(in, i);

#ifdef __CUDA__
extern "C" __attribute__((global)) void k(u64 *out, const u32 *in) {
	int i = __nvvm_read_ptx_sreg_tid_x();
	out += functions * i;
	ALL(ANSWER)
}
#else
extern "C" long read(int, void *, unsigned long);
extern "C" long write(int, const void *, unsigned long);
static u32 in[2 * threads];
static u64 answers[functions * threads];
int main() {
	u64 *out = answers;
	if (read(0, in, sizeof in) != sizeof in)
		return 1;
	for (int i = 0; i < threads; i++) {
		ALL(ANSWER)
	}
	return write(1, answers, sizeof answers) != sizeof answers;
}
#endif
