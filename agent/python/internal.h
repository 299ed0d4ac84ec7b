/* SPDX-License-Identifier: MIT */
/*
 * What the files of this room share. Nobody outside includes it but its tests.
 *
 * Everything here looks at a process that may be hostile and that keeps running while it is read:
 * a read may tear, a pointer may lead anywhere, a list may be a ring. So each copy is bounded, each
 * chain has a limit below, and what was read is validated before it is believed.
 */
#ifndef DORA_PROBE_PYTHON_INTERNAL_H
#define DORA_PROBE_PYTHON_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/task.h"
#include "python/pyprocess.h"

#define DP_INTERPRETERS_MAX 256         /* interpreters walked in one list */
#define DP_TSTATES_MAX      4096        /* thread states walked in one list */
#define DP_FRAME_STEPS_MAX  64          /* frames walked to find DP_FRAMES_MAX that can be shown */
#define DP_MAPS_KEPT_MAX    16384       /* executable mappings kept of a process */
#define DP_MAPS_TEXT_MAX    (16u << 20) /* bytes of /proc/PID/maps read at most */
#define DP_PATH_KEPT_MAX    256
#define DP_PHDRS_MAX        32
#define DP_SECTIONS_MAX     512
#define DP_SYMBOLS_MAX      (1u << 19) /* symbols of one table looked at in a linear search */
#define DP_HASH_CHAIN_MAX   (1u << 16)
#define DP_LINETABLE_MAX    (1u << 20) /* bytes of one line table */
#define DP_STACK_SCAN       8192       /* bytes of a native stack searched for a return address */

/* ---- remote.c: the memory of another process --------------------------------------------- */

struct dp_span {
	uint64_t addr;
	void *buf;
	size_t len;
};

#define DP_SPANS_MAX 8

/* Reads all of it: 0, or -EFAULT, -ESRCH, -EPERM. `buf` may be partly overwritten on failure. */
int dp_remote_read(pid_t pid, uint64_t addr, void *buf, size_t len);
int dp_remote_u64(pid_t pid, uint64_t addr, uint64_t *ret);
int dp_remote_u32(pid_t pid, uint64_t addr, uint32_t *ret);

/*
 * Up to DP_SPANS_MAX spans in one system call, in order. Returns how many leading spans were copied
 * whole (reading stops at the first unreadable byte), or -ESRCH, -EPERM.
 */
int dp_remote_gather(pid_t pid, const struct dp_span *spans, unsigned int count);

/* Pages of a target that were in memory a moment ago. */
#define DP_PAGES_MAX 16
struct dp_pages {
	uint64_t page[DP_PAGES_MAX];
	unsigned int count;
};

/*
 * Are all these bytes in memory now, by the open file /proc/PID/pagemap? Then reading them waits for
 * nobody: not for a disk, nor for a file system or a page fault handler that the target itself runs. Of `known` pages
 * it is not asked again; what was asked for joins them when all of it is there.
 */
bool dp_remote_resident(int pagemap, const struct dp_span *spans, unsigned int count,
			struct dp_pages *known);

/* As many bytes as are readable from `addr` on, at most `len` and 32 KiB; 0 or more, or -errno. */
ssize_t dp_remote_read_some(pid_t pid, uint64_t addr, void *buf, size_t len);

/* ---- maps.c: /proc/PID/maps ---------------------------------------------------------------- */

struct dp_map {
	uint64_t start;
	uint64_t end;
	uint64_t offset; /* in the file, bytes */
	uint64_t inode;  /* 0: no file */
	uint64_t head;   /* address of the same file's offset 0, 0 unknown */
	uint32_t dev_major;
	uint32_t dev_minor;
	bool writable, executable, shared;
	char path[DP_PATH_KEPT_MAX]; /* as the kernel shows it, "" when longer or anonymous */
	char base[DP_LIBRARY_MAX];   /* printable last component without " (deleted)" */
};

struct dp_maps {
	struct dp_map *map; /* executable mappings, by address */
	unsigned int count;
	uint64_t read_ns;
};

/* Calls `each` for every mapping until it returns non-zero. 0 or that value; -errno. */
int dp_maps_walk(pid_t pid, int (*each)(void *arg, const struct dp_map *map), void *arg);

/* Replaces `maps` by the executable mappings of now. Unchanged on failure. */
int dp_maps_read(pid_t pid, struct dp_maps *maps);
void dp_maps_free(struct dp_maps *maps);
const struct dp_map *dp_maps_find(const struct dp_maps *maps, uint64_t addr);
bool dp_map_same_file(const struct dp_map *a, const struct dp_map *b);

/* libc, loader and language run times: a thread blocked there was sent by somebody else. */
bool dp_map_is_plumbing(const struct dp_map *map);

/* ---- elf.c: the file behind a mapping ------------------------------------------------------ */

/*
 * Read with pread in bounded pieces, not through libelf: that either maps the file (the target
 * could truncate it under us: SIGBUS) or allocates what the file's own headers claim. It also
 * lets the same code read an image out of the target's memory when no file can be opened.
 */
struct dp_elf_segment {
	uint64_t offset, vaddr, filesz, memsz;
	uint32_t flags;
};

struct dp_elf {
	int fd; /* -1: read from the memory of pid */
	pid_t pid;
	uint64_t head; /* address of file offset 0 in the target, 0 unknown */
	uint64_t bias; /* runtime address = symbol value + bias */
	struct dp_elf_segment load[DP_PHDRS_MAX];
	unsigned int load_count;
	uint64_t shoff;
	uint16_t shnum, shstrndx;
	uint64_t unwind; /* vaddr of .eh_frame_hdr, 0 none */
	uint64_t symtab, strtab, strsz, gnu_hash, sysv_hash, versym; /* vaddrs, 0 none */
	char path[128]; /* opens the file, "" when read from memory */
};

struct dp_elf_symbol {
	uint64_t value; /* as in the file: add bias */
	uint64_t size;
};

/* 0; -ENOEXEC no 64-bit ELF of this machine; -ENOENT, -EPERM, -ESRCH, -EFAULT. */
int dp_elf_open(struct dp_elf *elf, pid_t pid, const struct dp_map *map);
void dp_elf_close(struct dp_elf *elf);

/* Default version of an exported symbol, by its hash table. 0 or -ENOENT. */
int dp_elf_dynsym(const struct dp_elf *elf, const char *name, struct dp_elf_symbol *ret);
/* A symbol of .symtab, which strip removes: a linear search. 0 or -ENOENT. */
int dp_elf_symtab(const struct dp_elf *elf, const char *name, struct dp_elf_symbol *ret);
/* A section by its name. 0 or -ENOENT. */
int dp_elf_section(const struct dp_elf *elf, const char *name, struct dp_elf_symbol *ret);
/* The function that contains file address `vaddr`. 0 or -ENOENT. */
int dp_elf_function_at(const struct dp_elf *elf, uint64_t vaddr, char *name, size_t cap);
/* File offset of a file address. 0 or -ENOENT. */
int dp_elf_file_offset(const struct dp_elf *elf, uint64_t vaddr, uint64_t *ret);

/* ---- layout.c: where things are in each version ------------------------------------------- */

/* The minor versions whose layout is known, and as the user reads them. */
#define DP_PYTHON_FIRST        8
#define DP_PYTHON_LAST         15
#define DP_PYTHON_TEXT_(minor) "3." #minor
#define DP_PYTHON_TEXT(minor)  DP_PYTHON_TEXT_(minor)
#define DP_PYTHONS             DP_PYTHON_TEXT(DP_PYTHON_FIRST) " to " DP_PYTHON_TEXT(DP_PYTHON_LAST)

#define DP_NO_OFFSET UINT32_MAX
#define DP_FIELD_MAX 512 /* offsets within thread states, frames, code objects are below */

enum dp_line_format { DP_LINES_LNOTAB, DP_LINES_310, DP_LINES_LOCATIONS };

struct dp_layout {
	uint32_t minor; /* of 3.minor */
	uint32_t line_format;
	/* struct _gil_runtime_state */
	uint32_t gil_interval, gil_last_holder, gil_locked, gil_switch_number, gil_cond, gil_mutex;
	uint32_t gil_switch_cond, gil_size, gil_enabled;
	/* _PyRuntime */
	uint32_t rt_gil, rt_interp_head, rt_interp_main, rt_main_thread, rt_signals_pending;
	uint32_t rt_drop_request, rt_main_tstate;
	/* PyInterpreterState */
	uint32_t is_next, is_threads_head, is_gil, is_own_gil, is_drop_request;
	uint32_t is_modules;                   /* of the dict sys.modules */
	uint32_t rt_collecting, is_collecting; /* gc.collecting: of the runtime in 3.8 */
	/* PyThreadState */
	uint32_t ts_prev, ts_next, ts_interp, ts_frame, ts_cframe, cframe_frame, ts_native_id,
		ts_thread_id;
	uint32_t ts_eval_breaker;
	/* PyFrameObject up to 3.10, _PyInterpreterFrame from 3.11 */
	uint32_t fr_back, fr_code, fr_lasti, fr_ip, fr_owner, fr_tlbc;
	/* PyCodeObject */
	uint32_t co_filename, co_name, co_qualname, co_firstlineno, co_lines, co_bytecode, co_tlbc;
	/* objects */
	uint32_t ob_type, bytes_size, bytes_data, str_length, str_state, str_ascii_data;
	uint32_t str_compact_data;
	uint32_t type_cached_keys; /* PyHeapTypeObject.ht_cached_keys */
};

/* What the table alone knows of a release: from 3.13 on without all that _Py_DebugOffsets tells. 0 or -ENOTSUP. */
int dp_layout_tabled(unsigned int minor, bool musl, struct dp_layout *ret);
/* Layout of a release without _Py_DebugOffsets (3.8–3.12). 0 or -ENOTSUP. */
int dp_layout_for(unsigned int minor, bool musl, struct dp_layout *ret);

#define DP_DEBUG_OFFSETS_LEN 888 /* of 3.15, the longest known */

/*
 * Layout from the first bytes of _PyRuntime, from 3.13 on. `buf` is DP_DEBUG_OFFSETS_LEN long.
 * 0, and the hexversion and free-threaded flag; -ENOENT no such table; -ENOTSUP a version that is
 * not known or offsets that cannot be.
 */
int dp_layout_from_debug_offsets(const uint8_t *buf, bool musl, struct dp_layout *ret,
				 uint32_t *ret_hexversion, uint8_t *ret_free_threaded);

/* ---- linetable.c: bytecode offset to line -------------------------------------------------- */

struct dp_linetable {
	uint32_t format;
	int32_t line;   /* running line */
	int32_t offset; /* bytecode offset where the next entry starts */
	int32_t wanted; /* bytecode offset asked for; negative: before the first instruction */
	int32_t found;  /* line of `wanted`, 0 none */
	bool done;
};

void dp_linetable_begin(struct dp_linetable *t, uint32_t format, int32_t first_line,
			int32_t offset);

/*
 * Eats whole entries of the table; returns how many bytes it took. What is left (at most
 * DP_LINETABLE_ENTRY_MAX - 1 bytes) must come again in front of the following bytes. Done when
 * t->done. Every byte string is accepted.
 */
#define DP_LINETABLE_ENTRY_MAX 32
size_t dp_linetable_feed(struct dp_linetable *t, const uint8_t *p, size_t len);

/* The line, or 0 where the table gives none. Call when done or when the table has ended. */
int32_t dp_linetable_line(const struct dp_linetable *t);

/* ---- task.c: /proc/PID/task/TID ------------------------------------------------------------ */

/* The tid as the innermost PID namespace of the thread has it, and how many namespaces it has. */
int dp_task_inner_tid(pid_t pid, pid_t tid, uint32_t *ret_inner, unsigned int *ret_levels);

struct dp_task_syscall {
	int32_t nr; /* -1 on the CPU or blocked outside a system call, -2 unknown */
	uint64_t arg[6];
	uint64_t sp, pc; /* 0 unknown */
};
int dp_task_syscall(pid_t pid, pid_t tid, struct dp_task_syscall *ret);

#define DP_TID_CACHE 64
struct dp_tids {
	pid_t pid;
	bool other_ns;
	struct {
		uint32_t inner, outer;
		uint64_t checked_ns;
	} slot[DP_TID_CACHE];
};

/*
 * The agent's tid of a thread that calls itself `inner`, 0 when the process has none such. Believed
 * for a second before it is checked again: a tid may be used anew.
 */
uint32_t dp_tids_outer(struct dp_tids *t, uint32_t inner);

/* ---- locate.c: the Python in a process ----------------------------------------------------- */

struct dp_location {
	struct dp_map map;             /* of the file that holds the runtime */
	uint64_t runtime;              /* &_PyRuntime */
	uint64_t runtime_size;         /* of the symbol, 0 unknown */
	uint64_t code_type;            /* &PyCode_Type, 0 unknown */
	uint64_t unicode_type;         /* &PyUnicode_Type, 0 unknown */
	uint64_t version;              /* &Py_Version (3.11+), 0 none */
	uint64_t data_start, data_end; /* writable segment of that file */
	bool debug_build;
	bool musl;
};

#define DP_RUNTIMES_MAX 4 /* in one process: an embedding program, and a library beside it */

/*
 * The runtime number `index`, from 0, in the order in which one is likely to be the one that runs.
 * -EAGAIN it may still come, -ENOENT there is none (or no further one), with a sentence in `why`.
 */
int dp_locate(pid_t pid, const struct dp_maps *maps, uint64_t age_ms, unsigned int index,
	      struct dp_location *ret, char *why, size_t why_len);

/* Scans the writable data of the file for the text of sys.version: "3.8.18 (". 0 or -ENOENT. */
int dp_locate_version_text(pid_t pid, const struct dp_location *loc, char *ret, size_t cap);

/* ---- the object ---------------------------------------------------------------------------- */

struct dp_gil {
	struct dp_gil_site site;
	uint64_t interp;
	uint64_t drop_request; /* address of the int, 0: in the thread state */
	/* What the last look found: read again in the same system call that checks it. */
	uint64_t tstate, pthread, cframe, frame;
	bool was_held;
};

struct dp_py {
	pid_t pid;
	uint64_t start_time;
	struct dp_py_info info;
	struct dp_layout layout;
	struct dp_location loc;
	struct dp_code_range eval[DP_EVAL_RANGES]; /* see eval_loop.h */
	struct dp_maps maps;
	struct dp_gil gil[DP_MAX_GILS];
	unsigned int gil_count;
	uint32_t off_pthread_tid; /* up to 3.10: of the tid in struct pthread, DP_NO_OFFSET unknown
				   */
	struct dp_tids tids;
	int pagemap; /* of a copy (copy.c): read only what is in memory; -1 whatever may be read */
	uint64_t active_threads, active_tried_ns; /* thread_names.c: the dict, 0 not found yet */
};

/* ---- refusals.c: why a process is not taken ------------------------------------------------ */

#define DP_STARTING_MS 2000 /* a younger process may be on its way to be what it is not yet */

/* How long ago it started, by its start time in clock ticks since boot. */
uint64_t dp_py_age_ms(uint64_t start_time);

/* Each writes a sentence to `why` and returns what it means: -ESRCH; -EAGAIN. */
int dp_py_exited(char *why, size_t len);
int dp_py_starting(char *why, size_t len, const char *what);
/* -EPERM and -ESRCH for themselves, in their own words; -ENOTSUP and `what` for any other. */
int dp_py_failed(int rc, char *why, size_t len, const char *what);

/* ---- pyversion.c, gils.c, validate.c ------------------------------------------------------- */

/* Fills in version and layout. 0; -EAGAIN, -ENOTSUP, -EPERM, -ESRCH and why. */
int dp_py_find_layout(struct dp_py *py, char *why, size_t len);

/* Finds the GILs of now; keeps what the looks have learnt of those that were known. 0 or -errno. */
int dp_py_rescan(struct dp_py *py);

/* Everything that must hold for the layout to be the right one. 0; errors as of dp_py_find_layout.
 */
int dp_py_validate(struct dp_py *py, char *why, size_t len);

/* Addresses of the interpreters, main first; their number or -errno. */
int dp_py_interpreters(const struct dp_py *py, uint64_t *ret, unsigned int cap);

/* frames.c: the end of a str that fits, printable. 0 or -errno. */
int dp_frames_string(const struct dp_py *py, uint64_t addr, char *dst, size_t cap);

/* dicts.c: the entries of a dict, or of the keys that instances share. */
struct dp_entries {
	uint64_t at;     /* first entry */
	uint64_t count;  /* entries in use, deleted ones with them */
	uint32_t stride; /* bytes of an entry: 24 with the hash in front, 16 without */
	uint64_t values; /* array of the values, 0: they are in the entries */
};

/* A dict, or keys with their values apart. False: it cannot be read, or is none. */
bool dp_dict_open(const struct dp_py *py, uint64_t dict, struct dp_entries *ret);
bool dp_keys_open(const struct dp_py *py, uint64_t keys, uint64_t values, struct dp_entries *ret);
/* The value of a key, a str or an int of more than 30 bits; 0 it is not there, or cannot be read. */
uint64_t dp_dict_find(const struct dp_py *py, const struct dp_entries *e, const char *name);
uint64_t dp_dict_find_number(const struct dp_py *py, const struct dp_entries *e, uint64_t number);
/* The values of all keys, with 0 for those that are not there; how many, at most cap. */
unsigned int dp_entries_values(const struct dp_py *py, const struct dp_entries *e, uint64_t *ret,
			       unsigned int cap);
#define DP_TYPE_SIZE 32 /* PyTypeObject.tp_basicsize */
/* The attributes of an instance, wherever its version keeps them. False: it has none, or they cannot be read. */
bool dp_attributes_open(const struct dp_py *py, uint64_t object, struct dp_entries *ret);
/* What a module of the main interpreter has. False: it is not imported, or cannot be read. */
bool dp_module_open(const struct dp_py *py, const char *module, struct dp_entries *ret);
/* One of it; 0 there is none of that name, or as above. */
uint64_t dp_module_attribute(const struct dp_py *py, const char *module, const char *name);

/* thread_names.c: what threading calls the thread of this ident (pthread_self). */
bool dp_thread_name(struct dp_py *py, uint64_t ident, char *ret, size_t cap);

/* frames.c: fills frame, ip, frame_count and frames of `ret`. 0 or -errno with what is known. */
int dp_frames_read(const struct dp_py *py, uint64_t tstate, struct dp_rec_stack *ret);

/* The frames of a thread state, innermost first: where they lie. How many, at most cap. */
unsigned int dp_frames_addresses(const struct dp_py *py, uint64_t tstate, uint64_t *ret,
				 unsigned int cap);

/* The innermost frame of a thread state and the instruction pointer in it. 0 or -errno. */
int dp_frames_top(const struct dp_py *py, uint64_t tstate, uint64_t *ret_frame, uint64_t *ret_ip);

/* ---- waiting.c: what one thread waits for --------------------------------------------------- */

struct dp_waiting {
	pid_t tid;
	uint8_t waits;    /* enum dp_wait */
	bool forever;     /* without a time limit */
	uint32_t for_tid; /* who has it, a thread of the process; 0 nobody is known */
	uint64_t word;    /* of the futex, 0 none */
	struct dp_task_syscall call;
};

/* Reads the system call of a thread. What cannot be read is DP_WAIT_UNKNOWN. */
void dp_waiting_read(struct dp_py *py, pid_t tid, struct dp_waiting *ret);

/* Is that a wait that nobody but a thread of the process can end, and of whom is not known? */
bool dp_waiting_is_ownerless(const struct dp_waiting *w);

/* native.c: does the address lie in one of its GILs? */
bool dp_native_in_a_gil(const struct dp_py *py, uint64_t addr);
/*
 * native.c: the file whose code has called into the system's libraries, at this system call; NULL
 * when it is Python itself or cannot be told. Valid until the maps are read anew.
 */
const struct dp_map *dp_native_caller(struct dp_py *py, const struct dp_task_syscall *s);
/* native.c: is this what a call instruction has left on a stack? By the bytes before it. */
bool dp_native_after_call(pid_t pid, uint64_t addr);

/* native.c: state, comm, system call, library and symbol. `py` may be NULL. */
int dp_native_fill(pid_t pid, pid_t tid, struct dp_maps *maps, const struct dp_py *py,
		   struct dp_rec_stack *ret);

#endif
