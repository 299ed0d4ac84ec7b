/* SPDX-License-Identifier: MIT */
/* A CPython process: recognised, validated, its GILs found. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/units.h"
#include "dora_probe/rights.h"
#include "python/internal.h"

#define VALIDATE_TRIES  20
#define INTERVAL_MAX_US 3600000000ull /* sys.setswitchinterval(3600) */
#define PTHREAD_SEARCH  1024
#define STARTING_MS     2000

static uint64_t age_ms(uint64_t start_time)
{
	long hz = sysconf(_SC_CLK_TCK);
	uint64_t now_ms = dp_clock_ns(CLOCK_BOOTTIME) / MS, start_ms;

	start_ms = start_time * 1000 / (uint64_t)(hz > 0 ? hz : 100);
	return now_ms > start_ms ? now_ms - start_ms : 0;
}

static int refused(char *why, size_t len)
{
	char set[DP_RIGHTS_TEXT];

	snprintf(why, len,
		 "no right to read its memory: run as root, or sudo setcap %s $(command -v dora-probe)",
		 dp_rights_setcap(1u << DP_RIGHT_WATCH, set, sizeof(set)));
	return -EPERM;
}

static int gone(char *why, size_t len)
{
	snprintf(why, len, "the process is gone");
	return -ESRCH;
}

static int starting(char *why, size_t len, const char *what)
{
	snprintf(why, len, "Python is still starting: %s", what);
	return -EAGAIN;
}

static int failed(int rc, char *why, size_t len, const char *what)
{
	if (rc == -EPERM)
		return refused(why, len);
	if (rc == -ESRCH)
		return gone(why, len);
	snprintf(why, len, "%s", what);
	return -ENOTSUP;
}

static void set_version(struct dp_py_info *info, uint32_t hex)
{
	unsigned int level = hex >> 4 & 15;

	info->hexversion = hex;
	snprintf(info->version, sizeof(info->version), "%u.%u.%u", hex >> 24, hex >> 16 & 255,
		 hex >> 8 & 255);
	if (level != 0xf) {
		size_t n = strlen(info->version);

		snprintf(info->version + n, sizeof(info->version) - n, "%s%u",
			 level == 0xa   ? "a"
			 : level == 0xb ? "b"
					: "rc",
			 hex & 15);
	}
}

/* "3.8.18", "3.10.0rc1+": digits, then at most a pre-release of a letter or two and a number. */
static uint32_t parse_version(const char *text)
{
	unsigned int minor, patch, serial = 0, level = 0xf;
	char letters[3] = "";
	int n = sscanf(text, "3.%3u.%3u%2[abcr]%2u", &minor, &patch, letters, &serial);

	if (n < 2 || minor > 255 || patch > 255)
		return 0;
	if (n >= 3)
		level = letters[0] == 'a' ? 0xa : letters[0] == 'b' ? 0xb : 0xc;
	return 3u << 24 | minor << 16 | patch << 8 | level << 4 | (serial & 15);
}

/* Size of the exported _PyRuntime: the last hint where nothing else tells the version. */
static uint32_t version_by_size(uint64_t size)
{
	return size == 1464  ? 0x030800f0u
	       : size == 656 ? 0x030900f0u
	       : size == 672 ? 0x030a00f0u
			     : 0;
}

static int find_layout(struct dp_py *py, char *why, size_t len)
{
	uint8_t debug[DP_DEBUG_OFFSETS_LEN];
	char text[sizeof(py->info.version)];
	uint64_t v = 0;
	uint32_t hex = 0;
	bool patch_known = true;
	int rc = dp_remote_read(py->pid, py->loc.runtime, debug, sizeof(debug));

	/* _PyRuntime of 3.9 and 3.10 is shorter than the table and may end its mapping. */
	if (rc == -EFAULT) {
		memset(debug, 0, sizeof(debug));
		rc = dp_remote_read(py->pid, py->loc.runtime, debug, 64);
	}
	if (rc < 0)
		return failed(rc, why, len, "its _PyRuntime cannot be read");
	rc = dp_layout_from_debug_offsets(debug, py->loc.musl, &py->layout, &hex,
					  &py->info.free_threaded);
	if (rc == 0) {
		set_version(&py->info, hex);
		return 0;
	}
	if (rc == -ENOTSUP) {
		memcpy(&hex, debug + 8, sizeof(hex));
		set_version(&py->info, hex);
		snprintf(why, len,
			 "CPython %s: its layout is not known to this dora-probe (3.8 to 3.15)",
			 py->info.version);
		return rc;
	}
	if (py->loc.version != 0 && dp_remote_u64(py->pid, py->loc.version, &v) == 0 &&
	    v >> 24 == 3)
		hex = (uint32_t)v;
	if (hex == 0 && dp_locate_version_text(py->pid, &py->loc, text, sizeof(text)) == 0)
		hex = parse_version(text);
	/* The text appears when the interpreter first asks for it, early in its start. */
	if (hex == 0 && age_ms(py->start_time) < STARTING_MS)
		return starting(why, len, "its version is not set yet");
	if (hex == 0) {
		hex = version_by_size(py->loc.runtime_size);
		patch_known = false;
	}
	if (hex == 0) {
		snprintf(why, len, "a CPython whose version cannot be told");
		return -ENOTSUP;
	}
	set_version(&py->info, hex);
	if (!patch_known)
		snprintf(py->info.version, sizeof(py->info.version), "3.%u", hex >> 16 & 255);
	/* Its table is initialised data; for a moment the loader has other bytes mapped there. */
	if ((hex >> 16 & 255) >= 13 && age_ms(py->start_time) < STARTING_MS)
		return starting(why, len, "its runtime is not mapped yet");
	if (dp_layout_for(hex >> 16 & 255, py->loc.musl, &py->layout) < 0) {
		snprintf(why, len, "CPython %s: dora-probe reads CPython 3.8 to 3.15",
			 py->info.version);
		return -ENOTSUP;
	}
	return 0;
}

int dp_py_interpreters(const struct dp_py *py, uint64_t *ret, unsigned int cap)
{
	uint64_t main_interp, at;
	unsigned int count = 1;
	int rc;

	rc = dp_remote_u64(py->pid, py->loc.runtime + py->layout.rt_interp_main, &main_interp);
	if (rc < 0)
		return rc;
	if (main_interp == 0 || cap == 0)
		return 0;
	ret[0] = main_interp;
	rc = dp_remote_u64(py->pid, py->loc.runtime + py->layout.rt_interp_head, &at);
	for (int i = 0; rc == 0 && at != 0 && count < cap && i < DP_INTERPRETERS_MAX; i++) {
		if (at != main_interp)
			ret[count++] = at;
		rc = dp_remote_u64(py->pid, at + py->layout.is_next, &at);
	}
	return rc == -ESRCH || rc == -EPERM ? rc : (int)count;
}

static int read_gil(const struct dp_py *py, uint64_t interp, uint64_t addr, struct dp_gil *ret)
{
	const struct dp_layout *l = &py->layout;
	struct dp_gil g = {.interp = interp};
	uint64_t interval;
	int rc = dp_remote_u64(py->pid, addr + l->gil_interval, &interval);

	if (rc < 0)
		return rc;
	g.site = (struct dp_gil_site){
		.addr = addr,
		.off_last_holder = l->gil_last_holder,
		.off_locked = l->gil_locked,
		.off_switch_number = l->gil_switch_number,
		.off_cond = l->gil_cond,
		.off_mutex = l->gil_mutex,
		.off_switch_cond = l->gil_switch_cond,
		.size = l->gil_size,
		.interval_us = interval > UINT32_MAX ? UINT32_MAX : (uint32_t)interval,
	};
	if (l->rt_drop_request != DP_NO_OFFSET)
		g.drop_request = py->loc.runtime + l->rt_drop_request;
	else if (l->is_drop_request != DP_NO_OFFSET)
		g.drop_request = interp + l->is_drop_request;
	*ret = g;
	return 0;
}

/* Finds the GILs of now; keeps what the looks have learnt of those that were known. */
static int rescan(struct dp_py *py)
{
	const struct dp_layout *l = &py->layout;
	uint64_t interp[DP_INTERPRETERS_MAX], addr;
	struct dp_gil found[DP_MAX_GILS];
	unsigned int count = 0;
	uint32_t own, word;
	int rc, n = dp_py_interpreters(py, interp, DP_INTERPRETERS_MAX);

	if (n < 0)
		return n;
	for (int i = 0; i < n && count < DP_MAX_GILS; i++) {
		bool known = false;

		if (l->rt_gil != DP_NO_OFFSET) {
			addr = py->loc.runtime + l->rt_gil;
		} else {
			rc = dp_remote_u64(py->pid, interp[i] + l->is_gil, &addr);
			if (rc == 0)
				rc = dp_remote_u32(py->pid, interp[i] + l->is_own_gil, &own);
			if (rc == -ESRCH || rc == -EPERM)
				return rc;
			/* A legacy subinterpreter shares the main one's GIL. */
			if (rc < 0 || addr == 0 || (i > 0 && own != 1))
				continue;
		}
		for (unsigned int k = 0; k < count; k++)
			known |= found[k].site.addr == addr;
		if (known || read_gil(py, interp[i], addr, &found[count]) < 0)
			continue;
		/* locked is -1 before the GIL is created and after it is destroyed. */
		if (dp_remote_u32(py->pid, addr + l->gil_locked, &word) < 0 || word == UINT32_MAX)
			continue;
		count++;
	}
	py->info.gil_enabled = 1;
	if (l->gil_enabled != DP_NO_OFFSET && count > 0) {
		rc = dp_remote_u32(py->pid, found[0].site.addr + l->gil_enabled, &word);
		if (rc < 0)
			return rc;
		py->info.gil_enabled = word != 0;
		if (word == 0)
			count = 0;
	}
	for (unsigned int i = 0; i < count; i++)
		for (unsigned int k = 0; k < py->gil_count; k++)
			if (py->gil[k].site.addr == found[i].site.addr) {
				found[i].tstate = py->gil[k].tstate;
				found[i].pthread = py->gil[k].pthread;
				found[i].cframe = py->gil[k].cframe;
				found[i].frame = py->gil[k].frame;
			}
	memcpy(py->gil, found, count * sizeof(found[0]));
	py->gil_count = count;
	return 0;
}

/*
 * Up to 3.10 a thread state knows only pthread_self(). In glibc that is struct pthread, with the
 * kernel's tid at 720 on x86_64 (704 bytes of tcbhead_t, 16 of list) and 208 on aarch64 (24 words
 * of padding, 16 of list); musl has it at 48 on x86_64. Believed when it leads to a thread of this
 * process; else the first kilobyte is searched for the main thread's pid.
 */
static void calibrate(struct dp_py *py, uint64_t pthread)
{
#ifdef __x86_64__
	static const uint32_t usual[] = {720, 48, 56};
#else
	static const uint32_t usual[] = {208, 48, 56};
#endif
	uint8_t block[PTHREAD_SEARCH];
	uint32_t pid = 0, tid;
	unsigned int levels;
	ssize_t n = dp_remote_read_some(py->pid, pthread, block, sizeof(block));

	py->off_pthread_tid = DP_NO_OFFSET;
	for (size_t i = 0; i < DP_COUNT_OF(usual); i++) {
		if (n < (ssize_t)usual[i] + 4)
			continue;
		memcpy(&tid, block + usual[i], sizeof(tid));
		/* 1 may be any counter: in a container main is 1, so only glibc's place counts. */
		if ((tid > 1 || i == 0) && dp_tids_outer(&py->tids, tid) != 0) {
			py->off_pthread_tid = usual[i];
			return;
		}
	}
	if (dp_task_inner_tid(py->pid, py->pid, &pid, &levels) < 0 || pid <= 1)
		return;
	for (uint32_t at = 0; (ssize_t)at + 4 <= n; at += 4) {
		memcpy(&tid, block + at, sizeof(tid));
		if (tid == pid) {
			py->off_pthread_tid = at;
			return;
		}
	}
}

/* Walks to the thread state of Python's main thread, or the oldest one. 0 or -errno. */
static int find_main_tstate(const struct dp_py *py, uint64_t interp, uint64_t *ret_tstate,
			    uint64_t *ret_pthread)
{
	const struct dp_layout *l = &py->layout;
	uint64_t main_thread = 0, at = 0, pthread = 0, owner, prev, last = 0, last_pthread = 0;
	int rc = dp_remote_u64(py->pid, py->loc.runtime + l->rt_main_thread, &main_thread);

	if (rc == 0)
		rc = dp_remote_u64(py->pid, interp + l->is_threads_head, &at);
	for (int i = 0; rc == 0 && at != 0 && i < DP_TSTATES_MAX; i++) {
		rc = dp_remote_u64(py->pid, at + l->ts_thread_id, &pthread);
		if (rc == 0)
			rc = dp_remote_u64(py->pid, at + l->ts_interp, &owner);
		if (rc == 0)
			rc = dp_remote_u64(py->pid, at + l->ts_prev, &prev);
		if (rc < 0)
			return rc;
		if (owner != interp || prev != last)
			return -EBADMSG;
		last = at;
		last_pthread = pthread;
		if (pthread == main_thread)
			break;
		rc = dp_remote_u64(py->pid, at + l->ts_next, &at);
	}
	if (rc < 0)
		return rc;
	if (last == 0)
		return -EAGAIN;
	*ret_tstate = last;
	*ret_pthread = last_pthread;
	return 0;
}

/* Everything that must hold for the layout to be the right one. The target runs: tried again. */
static int validate_once(struct dp_py *py)
{
	const struct dp_layout *l = &py->layout;
	uint64_t interp[DP_INTERPRETERS_MAX], interval, holder, owner, tstate, pthread;
	const struct dp_gil_site *g;
	uint32_t locked;
	int rc, n = dp_py_interpreters(py, interp, DP_INTERPRETERS_MAX);

	if (n <= 0)
		return n == 0 ? -EAGAIN : n;
	rc = rescan(py);
	if (rc < 0)
		return rc;
	rc = find_main_tstate(py, interp[0], &tstate, &pthread);
	if (rc < 0)
		return rc;
	if (l->ts_native_id == DP_NO_OFFSET)
		calibrate(py, pthread);
	if (py->gil_count == 0)
		return py->info.gil_enabled ? -EAGAIN : 0;
	g = &py->gil[0].site;
	rc = dp_remote_u64(py->pid, g->addr + l->gil_interval, &interval);
	if (rc == 0)
		rc = dp_remote_u32(py->pid, g->addr + g->off_locked, &locked);
	if (rc == 0)
		rc = dp_remote_u64(py->pid, g->addr + g->off_last_holder, &holder);
	if (rc < 0)
		return rc;
	if (interval == 0)
		return -EAGAIN;
	if (interval > INTERVAL_MAX_US || locked > 1)
		return -EBADMSG;
	/* last_holder of a free GIL may belong to a thread that has ended. */
	if (locked == 0)
		return 0;
	rc = holder == 0 ? -EBADMSG : dp_remote_u64(py->pid, holder + l->ts_interp, &owner);
	if (rc < 0)
		return rc;
	for (int i = 0; i < n; i++)
		if (interp[i] == owner)
			return 0;
	return -EBADMSG;
}

static int validate(struct dp_py *py, char *why, size_t len)
{
	const struct timespec pause = {.tv_nsec = 500000};
	int rc = 0;

	for (int i = 0; i < VALIDATE_TRIES; i++) {
		rc = validate_once(py);
		if (rc != -EBADMSG && rc != -EFAULT)
			break;
		nanosleep(&pause, NULL);
	}
	if (rc == 0)
		return 0;
	if (rc == -EAGAIN)
		return starting(why, len, "its interpreter does not exist yet (or no longer)");
	if (rc == -EPERM || rc == -ESRCH)
		return failed(rc, why, len, "");
	if (age_ms(py->start_time) < STARTING_MS)
		return starting(why, len, "its state is not consistent yet");
	snprintf(why, len,
		 "CPython %s: its memory does not look as this version's should "
		 "(a changed build?)",
		 py->info.version);
	return -ENOTSUP;
}

int dp_py_open(pid_t pid, struct dp_py **ret, char *why, size_t why_len)
{
	struct dp_task_stat stat;
	unsigned int levels = 1;
	struct dp_py *py;
	uint32_t inner;
	int rc;

	if (why_len > 0)
		why[0] = '\0';
	rc = dp_task_stat("/proc", pid, pid, &stat);
	if (rc < 0)
		return gone(why, why_len);
	if (dp_task_state_is_dead(stat.state))
		return gone(why, why_len);
	py = calloc(1, sizeof(*py));
	if (!py)
		return -ENOMEM;
	py->pid = pid;
	py->start_time = stat.start_time;
	py->tids.pid = pid;
	py->off_pthread_tid = DP_NO_OFFSET;
	if (dp_task_inner_tid(pid, pid, &inner, &levels) == 0)
		py->tids.other_ns = levels > 1;
	rc = dp_maps_read(pid, &py->maps);
	if (rc < 0) {
		rc = failed(rc, why, why_len, "its memory map cannot be read");
		goto cleanup;
	}
	if (py->maps.count == 0) {
		snprintf(why, why_len, "a kernel thread or a process that is ending");
		rc = -ENOENT;
		goto cleanup;
	}
	rc = dp_locate(pid, &py->maps, age_ms(stat.start_time), &py->loc, why, why_len);
	if (rc < 0)
		goto cleanup;
	py->info.runtime_addr = py->loc.runtime;
	py->info.musl = py->loc.musl;
	py->info.gil_enabled = 1;
	snprintf(py->info.implementation, sizeof(py->info.implementation), "cpython");
	rc = find_layout(py, why, why_len);
	if (rc == 0)
		rc = validate(py, why, why_len);
	if (rc < 0)
		goto cleanup;
	if (!py->info.gil_enabled)
		snprintf(why, why_len,
			 "CPython %s, free-threaded, runs without a GIL: nothing can "
			 "be held; PYTHON_GIL=1 turns it on",
			 py->info.version);
	*ret = py;
	py = NULL;
cleanup:
	dp_py_close(py);
	return rc;
}

void dp_py_close(struct dp_py *py)
{
	if (!py)
		return;
	dp_maps_free(&py->maps);
	free(py);
}

const struct dp_py_info *dp_py_info(const struct dp_py *py)
{
	return &py->info;
}

int dp_py_fill_target(struct dp_py *py, struct dp_target *target)
{
	struct dp_gil_site sites[DP_MAX_GILS] = {0};
	struct dp_task_stat stat;
	int rc = dp_task_stat("/proc", py->pid, py->pid, &stat);

	if (rc == 0 && (stat.start_time != py->start_time || stat.state == 'Z'))
		rc = -ESRCH;
	if (rc == 0)
		rc = rescan(py);
	if (rc < 0)
		return rc;
	for (unsigned int i = 0; i < py->gil_count; i++)
		sites[i] = py->gil[i].site;
	memcpy(target->gils, sites, sizeof(sites));
	target->gil_count = py->gil_count;
	target->has_native_tid = py->layout.ts_native_id != DP_NO_OFFSET;
	target->off_native_tid = target->has_native_tid ? py->layout.ts_native_id : 0;
	target->off_pthread = py->layout.ts_thread_id;
	/* Not calibrated: an offset that faults, so that the tid is unknown rather than wrong. */
	target->off_pthread_tid = target->has_native_tid ? 0 : py->off_pthread_tid;
	target->other_pid_ns = py->tids.other_ns;
	target->eval_from = py->loc.eval_from;
	target->eval_to = py->loc.eval_to;
	return (int)py->gil_count;
}

int dp_py_signal_pending(struct dp_py *py)
{
	const struct dp_layout *l = &py->layout;
	uint64_t tstate, breaker;
	uint32_t pending;
	int rc;

	if (l->rt_main_tstate != DP_NO_OFFSET) {
		rc = dp_remote_u64(py->pid, py->loc.runtime + l->rt_main_tstate, &tstate);
		if (rc == 0 && tstate == 0)
			return 0;
		if (rc == 0)
			rc = dp_remote_u64(py->pid, tstate + l->ts_eval_breaker, &breaker);
		/* _PY_SIGNALS_PENDING_BIT */
		return rc < 0 ? rc : (int)(breaker >> 1 & 1);
	}
	/* Py_DEBUG moves the field in 3.12 (from 2008 to 18000, as measured there). */
	if (l->rt_signals_pending == DP_NO_OFFSET || (l->minor == 12 && py->loc.debug_build))
		return -ENOTSUP;
	rc = dp_remote_u32(py->pid, py->loc.runtime + l->rt_signals_pending, &pending);
	return rc < 0 ? rc : pending != 0;
}
