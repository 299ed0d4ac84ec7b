/* SPDX-License-Identifier: MIT */
/*
 * A CPython process seen from outside: where its runtime and its GILs are, who holds one, what a
 * thread is executing. Reads only (process_vm_readv, /proc); never stops or writes to the target.
 * Nothing that the target supplies is trusted: every pointer is read with a bounded copy, every
 * chain is bounded, every string is made printable.
 *
 * Sources of all offsets: CPython's own headers 3.8–3.14 and _Py_DebugOffsets (3.13+); the table
 * in layout.c names each.
 */
#ifndef DORA_PROBE_PYPROCESS_H
#define DORA_PROBE_PYPROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dora_probe/capture.h"
#include "dora_probe/record.h"

struct dp_py;

struct dp_py_info {
	char version[24];        /* "3.11.7" */
	char implementation[16]; /* "cpython" */
	uint8_t free_threaded;   /* built with --disable-gil */
	uint8_t gil_enabled;     /* 0: free-threaded and running without a GIL */
	uint8_t musl;            /* libc is musl: futex words are not in the GIL */
};

/*
 * Looks at a process. On failure a sentence for the user is left in `why` (what it is, and what to
 * do next).
 * 0 and *ret (owned by the caller); -ENOENT no CPython in it (PyPy and others: `why` says which);
 * -ENOTSUP a CPython whose layout is not known, or that fails validation; -EAGAIN still starting,
 * try again in 50 ms; -EPERM missing right; -ESRCH gone.
 */
int dp_py_open(pid_t pid, struct dp_py **ret, char *why, size_t why_len);
void dp_py_close(struct dp_py *py);
const struct dp_py_info *dp_py_info(const struct dp_py *py);

/*
 * The GILs, main interpreter first, for the kernel map (dp_target.gils and the tid rule of the same
 * struct are filled; the rest is left). Rescans the interpreter list: call once a second on 3.12+.
 * Returns their number (0: free-threaded without GIL, or finalized), -errno otherwise.
 */
int dp_py_fill_target(struct dp_py *py, struct dp_target *target);

/*
 * One look at GIL `index`: fills before_ns, switch_number, locked, gil, drop_request, and, where
 * locked, *ret_tid (0 unknown), frame and ip of the holder. t_ns of the look is when it returned.
 * Two to four process_vm_readv. 0; -EFAULT unreadable (locked = 2); -ESRCH gone; of a copy -ENODATA,
 * it is not all in memory, so that reading it may take any time.
 */
int dp_py_look(struct dp_py *py, unsigned int index, struct dp_rec_look *ret, uint32_t *ret_tid);

/*
 * What another process of the probe has found out: enough of it for dp_py_info() and dp_py_look(), as
 * bytes (at most DP_PY_COPY_MAX). dp_py_take_copy() makes *py of them, or brings *py up to date; what
 * makes no sense is refused, since the other one has read hostile memory. 0; -EBADMSG; -ENOMEM.
 */
#define DP_PY_COPY_MAX 4096
void dp_py_give_copy(const struct dp_py *py, void *ret);
int dp_py_take_copy(pid_t pid, const void *copy, struct dp_py **py);

/*
 * What thread `tid` is doing: Python frames innermost first, system call, state, library and symbol
 * of the native pc where it can be had (blocked threads). Fills the whole record body; status 0 or
 * -errno in ret->status as well as returned. Works (without frames) for non-Python threads.
 */
int dp_py_stack(struct dp_py *py, pid_t tid, struct dp_rec_stack *ret);
/*
 * The threads that Python knows of, main with them, as their tids here. Returns how many of them are
 * in ret, at most cap; those of a list that changes meanwhile may be missing.
 */
unsigned int dp_py_threads(struct dp_py *py, pid_t *ret, unsigned int cap);

/*
 * Whom thread `tid` waits for, whom that one waits for, and so on: see dp_rec_waits. All threads of
 * the process are looked at, some 15 us each, 1,024 at most. Fills the whole record body; 0 or
 * -errno in ret->status as well as returned.
 */
int dp_py_waits(struct dp_py *py, pid_t tid, struct dp_rec_waits *ret);

/* What dp_py_stack() says, of a process that is no CPython: system call, state, library; no frames. */
int dp_native_stack(pid_t pid, pid_t tid, struct dp_rec_stack *ret);

/*
 * Is a signal waiting for its Python handler? 1, 0, or -errno (-ENOTSUP unknown version).
 * (signals_pending of the main thread's eval loop.)
 */
int dp_py_signal_pending(struct dp_py *py);

/*
 * Where pthread_cond_signal is, for the uprobe: a path that opens the target's own libc (through
 * /proc/PID/map_files or root) and the file offset of the default version of the symbol.
 * 0; -ENOENT not found (static binary without symbols).
 */
int dp_py_cond_signal_site(struct dp_py *py, char *path, size_t path_len, uint64_t *ret_offset);

/*
 * The entries of dora's methods that take events, for the uprobe: a path that opens the library, as above, and file
 * offsets; where its code lies in the target. 0; -ENOENT dora is not imported, or it cannot be told; -errno.
 */
#define DP_DORA_CALLS_MAX 6
struct dp_dora_calls {
	char path[256];
	uint64_t offset[DP_DORA_CALLS_MAX];
	uint32_t count;
	struct dp_code_range code;
};
int dp_py_dora_calls(struct dp_py *py, struct dp_dora_calls *ret);

/*
 * Which node of which dataflow the process says that it is, by its object of dora's type Node: for one that was started
 * by hand, of which nothing else tells. 0; -ENOENT there is no such object where it is looked for (variables of
 * __main__ and of the frames of all threads, and attributes of what they hold), or two of them contradict each other.
 */
struct dp_dora_node {
	char dataflow[DP_UUID_MAX];
	char node[DP_ID_MAX];
};
int dp_py_dora_node(struct dp_py *py, struct dp_dora_node *ret);

#endif
