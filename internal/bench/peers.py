# Runs the tasks of internal/bench with PyTorch, CuPy and JAX, on request: a JSON object a line on standard
# input, a JSON object a line on standard output. See peers.go.
import json
import os
import re
import subprocess
import sys
import time

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # what libraries print goes to standard error

libraries = {}


def found(name, module, works):
    """Notes a library that sees a GPU."""
    if works: libraries[name] = module
    else: print(f"{name} sees no GPU", file=sys.stderr)


try:
    import torch
    import torch.nn.functional as F

    found("torch", torch, torch.cuda.is_available())
except Exception as e:
    print("no PyTorch:", e, file=sys.stderr)
try:
    import cupy as cp

    found("cupy", cp, cp.cuda.runtime.getDeviceCount() > 0)
except Exception as e:
    print("no CuPy:", e, file=sys.stderr)
try:
    import jax
    import jax.numpy as jnp

    found("jax", jax, jax.default_backend() == "gpu")
except Exception as e:
    print("no JAX:", e, file=sys.stderr)

ready = {}  # peer -> function that returns the µs of one call, given a batch


def torch_events(f):
    def timed(batch):
        f()  # keeps the device busy while the batch is queued
        s, e = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        s.record()
        for _ in range(batch):
            f()
        e.record()
        e.synchronize()
        return s.elapsed_time(e) * 1e3 / batch

    return timed


def torch_graph(f):
    """A graph of 20 calls, replayed until they are at least the batch."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            f()
    torch.cuda.current_stream().wait_stream(side)
    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        for _ in range(20):
            f()
    one = torch_events(g.replay)
    return lambda batch: one(max(1, batch // 20)) / 20


def cupy_events(f):
    def timed(batch):
        f()
        s, e = cp.cuda.Event(), cp.cuda.Event()
        s.record()
        for _ in range(batch):
            f()
        e.record()
        e.synchronize()
        return cp.cuda.get_elapsed_time(s, e) * 1e3 / batch

    return timed


def jax_wall(f, *args):
    g = jax.jit(f)
    jax.block_until_ready(g(*args))

    def timed(batch):
        jax.block_until_ready(g(*args))
        t = time.perf_counter()
        for _ in range(batch):
            r = g(*args)
        jax.block_until_ready(r)
        return (time.perf_counter() - t) * 1e6 / batch

    return timed


def wall(f, sync):
    """Host cost: calls queued back to back, until the last is queued, as it is with a device that keeps up."""

    def timed(batch):
        f()
        sync()
        t = time.perf_counter()
        for _ in range(batch):
            f()
        us = (time.perf_counter() - t) * 1e6 / batch
        sync()
        return us

    return timed


def waited(f, sync):
    """Calls from the first one to the end of the last one's work."""

    def timed(batch):
        f()
        sync()
        t = time.perf_counter()
        for _ in range(batch):
            f()
        sync()
        return (time.perf_counter() - t) * 1e6 / batch

    return timed


def torch_training(samples, graph):
    """A step of a perceptron 784-512-512-10, at full float32 accuracy."""
    torch.backends.cuda.matmul.allow_tf32 = False
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)).cuda()
    descent = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.randn(samples, 784, device="cuda"), torch.randint(0, 10, (samples,), device="cuda")

    def step():
        descent.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        descent.step()

    if not graph: return waited(step, torch.cuda.synchronize)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    g = torch.cuda.CUDAGraph()
    descent.zero_grad(set_to_none=True)
    with torch.cuda.graph(g):
        F.cross_entropy(model(x), y).backward()
        descent.step()
    return waited(g.replay, torch.cuda.synchronize)


DTYPES = {"f32": "float32", "f64": "float64", "f16": "float16", "bf16": "bfloat16", "i32": "int32", "i64": "int64", "u8": "uint8"}


def torch_task(task, z):
    """The function of a memory-bound task, or None."""
    if "_" not in task: return None
    n, side = z["n"], z["side"]
    r = lambda *shape: torch.randn(*shape, device="cuda")
    kind, _, last = task.rpartition("_")
    if kind in ("add", "sum", "softmax") and last in DTYPES and last != "f32":
        dt = getattr(torch, DTYPES[last])
        x = (r(n) * (1 if kind == "softmax" else 10)).to(dt)
        if kind == "sum":
            return lambda: x.sum()
        if kind == "softmax":
            return lambda: torch.softmax(x.view(side, side), 1)
        y, o = (r(n) * 10).to(dt), torch.empty_like(x)
        return lambda: torch.add(x, y, out=o)
    x = r(n)
    m = x.view(side, side)
    out = lambda: torch.empty_like(x)
    two = lambda f: (lambda y, o: lambda: f(y, o))(r(n), out())
    one = lambda f: (lambda o: lambda: f(o))(out())
    if task == "copy_f32": return one(lambda o: o.copy_(x))
    if task == "add_f32": return two(lambda y, o: torch.add(x, y, out=o))
    if task == "exp_f32": return one(lambda o: torch.exp(x, out=o))
    if task == "sin_f32": return one(lambda o: torch.sin(x, out=o))
    if task == "pow_f32":
        x.abs_()
        return two(lambda y, o: torch.pow(x, y, out=o))
    if task == "add_alloc_f32": return two(lambda y, o: x + y)
    if task == "chain3_f32":
        y, c = r(n), r(n)
        return lambda: torch.tanh(x * y + c) * torch.sigmoid(x - c) + 0.5 * y
    if task == "gelu_f32": return lambda: F.gelu(x, approximate="tanh")
    if task in ("rowbcast_add_f32", "colbcast_add_f32"):
        v = r(side)
        if task[0] == "c": v = v.view(-1, 1)
        return lambda: m + v
    if task == "transpose_copy_f32": return lambda: m.t().contiguous()
    if task == "where_f32":
        y = r(n)
        return lambda: torch.where(x > 0, x, y)
    if task == "cast_f32_bf16": return lambda: x.to(torch.bfloat16)
    if task == "gather_rows_f32":
        index = torch.randint(0, side, (side,), device="cuda")
        return lambda: m[index]
    if task == "randn_f32": return lambda: x.normal_()
    if task == "rand_f32": return lambda: x.uniform_()
    if task == "sum_f32": return lambda: x.sum()
    if task == "max_f32": return lambda: x.max()
    if task == "argmax_f32": return lambda: x.argmax()
    if task == "mean_f32": return lambda: x.mean()
    if task == "var_f32": return lambda: x.var()
    if task == "norm_f32": return lambda: torch.linalg.vector_norm(x)
    if task == "rowsum_f32": return lambda: m.sum(1)
    if task == "colsum_f32": return lambda: m.sum(0)
    if task == "rowsum_64cols_f32": return lambda: x.view(-1, z["cols"]).sum(1)
    if task == "colsum_64cols_f32": return lambda: x.view(-1, z["cols"]).sum(0)
    if task == "midsum_f32": return lambda: x.view(*z["mid"]).sum(1)
    if task == "rowargmax_f32": return lambda: m.argmax(1)
    if task == "softmax_f32": return lambda: torch.softmax(m, 1)
    if task == "longsoftmax_f32": return lambda: torch.softmax(x.view(-1, z["long"]), 1)
    if task == "layernorm_f32":
        w, b = torch.ones(side, device="cuda"), torch.zeros(side, device="cuda")
        return lambda: F.layer_norm(m, (side,), w, b)
    if task == "cumsum_f32": return lambda: torch.cumsum(x, 0)
    if task == "rowcumsum_f32": return lambda: torch.cumsum(m, 1)
    if task == "sort_f32": return lambda: torch.sort(x)
    if task == "topk16_rows_f32": return lambda: torch.topk(m, 16, dim=1)
    if task == "dot_f32":
        y = r(n)
        return lambda: torch.dot(x, y)
    if task == "fused_sqdiff_sum_f32":
        y = r(n)
        return lambda: ((x - y) ** 2).sum()
    return None


def torch_compiled(task, z):
    n, side = z["n"], z["side"]
    r = lambda *shape: torch.randn(*shape, device="cuda")
    compiled = lambda f, *a: (lambda g: lambda: g(*a))(torch.compile(f, dynamic=False))
    if task == "chain3_f32": return compiled(lambda a, b, c: torch.tanh(a * b + c) * torch.sigmoid(a - c) + 0.5 * b, r(n), r(n), r(n))
    if task == "fused_sqdiff_sum_f32": return compiled(lambda a, b: ((a - b) ** 2).sum(), r(n), r(n))
    if task == "softmax_f32": return compiled(lambda a: torch.softmax(a, 1), r(side, side))
    return None


def torch_product(task, z):
    """Products: mm MxKxN, bmm BxN, mmNT N and mmTN N, and the precision."""
    match = re.fullmatch(r"(mm|bmm|mmNT|mmTN) ([0-9x]+) (\w+)", task)
    if not match: return None
    kind, dims, precision = match[1], [max(int(d) // z["shrink"], min(int(d), 3)) for d in match[2].split("x")], match[3]
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    dt = getattr(torch, DTYPES[precision.replace("tf32", "f32")])
    r = lambda *shape: torch.randn(*shape, device="cuda").to(dt)
    if kind == "mm":
        a, b, c = r(dims[0], dims[1]), r(dims[1], dims[2]), torch.empty(dims[0], dims[2], device="cuda", dtype=dt)
        return lambda: torch.matmul(a, b, out=c)
    if kind == "bmm":
        a, b = r(dims[0], dims[1], dims[1]), r(dims[0], dims[1], dims[1])
        return lambda: torch.bmm(a, b)
    a, b = r(dims[0], dims[0]), r(dims[0], dims[0])
    return (lambda: a @ b.t()) if kind == "mmNT" else (lambda: a.t() @ b)


def cupy_task(task, z):
    if "_" not in task: return None
    n, side = z["n"], z["side"]
    r = lambda: cp.random.standard_normal(n, dtype=cp.float32)
    if task in ("add_f32", "exp_f32"):
        x, o = r(), cp.empty(n, cp.float32)
        if task == "exp_f32": return lambda: cp.exp(x, out=o)
        y = r()
        return lambda: cp.add(x, y, out=o)
    if task == "chain3_f32":
        x, y, c = r(), r(), r()
        return lambda: cp.tanh(x * y + c) * (1 / (1 + cp.exp(-(x - c)))) + 0.5 * y
    makers = {
        "rowbcast_add_f32": lambda x, m: (lambda v: lambda: m + v)(r()[:side].copy()),
        "transpose_copy_f32": lambda x, m: lambda: cp.ascontiguousarray(m.T),
        "sum_f32": lambda x, m: lambda: x.sum(),
        "max_f32": lambda x, m: lambda: x.max(),
        "argmax_f32": lambda x, m: lambda: x.argmax(),
        "rowsum_f32": lambda x, m: lambda: m.sum(1),
        "colsum_f32": lambda x, m: lambda: m.sum(0),
        "cumsum_f32": lambda x, m: lambda: cp.cumsum(x),
        "sort_f32": lambda x, m: lambda: cp.sort(x),
    }
    if task not in makers: return None
    x = r()
    return makers[task](x, x.reshape(side, side))


def jax_task(task, z):
    n, side = z["n"], z["side"]
    functions = {
        "add_f32": (lambda a, b: a + b, 2),
        "chain3_f32": (lambda a, b, c: jnp.tanh(a * b + c) * jax.nn.sigmoid(a - c) + 0.5 * b, 3),
        "sum_f32": (lambda a: a.sum(), 1),
        "rowsum_f32": (lambda a: a.sum(1), 1),
        "colsum_f32": (lambda a: a.sum(0), 1),
        "softmax_f32": (lambda a: jax.nn.softmax(a, 1), 1),
        "fused_sqdiff_sum_f32": (lambda a, b: ((a - b) ** 2).sum(), 2),
    }
    if task not in functions: return None
    f, count = functions[task]
    shape = (side, side) if task in ("rowsum_f32", "colsum_f32", "softmax_f32") else (n,)
    return jax_wall(f, *[jax.random.normal(k, shape) for k in jax.random.split(jax.random.PRNGKey(0), count)])


def fresh(code):
    """Process start to first result: one process a call."""

    def timed(batch):
        t = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        return (time.perf_counter() - t) * 1e6

    return timed


def torch_host(task, z):
    """Tasks of the program's side; each gives its own timed function."""
    small = lambda: torch.randn(256, device="cuda")
    sync = torch.cuda.synchronize
    if task == "add into an existing output, 256 elements":
        x, y, o = small(), small(), small()
        return wall(lambda: torch.add(x, y, out=o), sync)
    if task == "add with a new output":
        x, y = small(), small()
        return wall(lambda: x + y, sync)
    if task == "sum":
        x = small()
        return wall(lambda: x.sum(), sync)
    if task == "64×64 product":
        a = torch.randn(64, 64, device="cuda")
        return wall(lambda: a @ a, sync)
    if task == "add of 256 elements and copy to the host":
        x, y = small(), small()
        return wall(lambda: (x + y).cpu(), sync)
    if task == "process start to first result":
        return fresh("import torch; a = torch.ones(1024, device='cuda'); (a + a).sum().item()")
    match = re.fullmatch(r"one training step, batch (\d+)(, graph)?", task)
    if match: return torch_training(int(match[1]), match[2] is not None)
    match = re.fullmatch(r"(host → device|device → host), 256 MiB, (pinned|ordinary)", task)
    if match:
        n = z["bytes"] // 4
        h, d = torch.randn(n, pin_memory=match[2] == "pinned"), torch.randn(n, device="cuda")
        if match[1] == "host → device":
            return torch_events(lambda: d.copy_(h, non_blocking=True))
        return torch_events(lambda: h.copy_(d, non_blocking=match[2] == "pinned"))
    return None


def cupy_host(task, z):
    small = lambda: cp.random.standard_normal(256, dtype=cp.float32)
    sync = lambda: cp.cuda.Device().synchronize()
    if task == "add into an existing output, 256 elements":
        x, y, o = small(), small(), small()
        return wall(lambda: cp.add(x, y, out=o), sync)
    if task == "add with a new output":
        x, y = small(), small()
        return wall(lambda: x + y, sync)
    if task == "sum":
        x = small()
        return wall(lambda: x.sum(), sync)
    if task == "process start to first result":
        return fresh("import cupy as cp; a = cp.ones(1024, dtype=cp.float32); float((a + a).sum())")
    return None


def prepare(task, z, graph):
    failed = {}

    def attempt(library, peer, make, wrap):
        if library not in libraries: return
        try:
            f = make(task, z)
            if f is not None:
                timed = wrap(f)
                timed(2)  # compiles what is compiled at first use
                ready[peer] = timed
        except Exception as e:
            failed[peer] = f"{type(e).__name__}: {e}"[:300]

    same = lambda timed: timed
    on_device = torch_graph if graph else torch_events
    attempt("torch", "torch", torch_task, on_device)
    attempt("torch", "torch", torch_product, on_device)
    attempt("torch", "torch", torch_host, same)
    attempt("torch", "torch.compile", torch_compiled, torch_events)
    attempt("cupy", "cupy", cupy_task, cupy_events)
    attempt("cupy", "cupy", cupy_host, same)
    attempt("jax", "jax", jax_task, same)
    return {"peers": list(ready), "failed": failed}


def drop():
    ready.clear()
    if "torch" in libraries:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    if "cupy" in libraries: cp.get_default_memory_pool().free_all_blocks()
    return {}


for line in sys.stdin:
    request = json.loads(line)
    try:
        if request["do"] == "hello": answer = {"peers": [f"{k} {v.__version__}" for k, v in libraries.items()]}
        elif request["do"] == "prepare": answer = prepare(request["task"], request["sizes"], request.get("graph", False))
        elif request["do"] == "time": answer = {"us": ready[request["peer"]](request["batch"])}
        else: answer = drop()
    except Exception as e:
        answer = {"error": f"{type(e).__name__}: {e}"[:300]}
    answers.write(json.dumps(answer) + "\n")
