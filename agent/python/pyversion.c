// SPDX-License-Identifier: MIT
/* Which CPython it is, and so where things are in it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "python/internal.h"

static void set_version(struct dp_py_info *info, uint32_t hex)
{
	unsigned int level = hex >> 4 & 15;

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

int dp_py_find_layout(struct dp_py *py, char *why, size_t len)
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
		return dp_py_failed(rc, why, len, "its _PyRuntime cannot be read");
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
			 "CPython %s: its layout is not known to this dora-probe (" DP_PYTHONS ")",
			 py->info.version);
		return rc;
	}
	if (py->loc.version != 0 && dp_remote_u64(py->pid, py->loc.version, &v) == 0 &&
	    v >> 24 == 3)
		hex = (uint32_t)v;
	if (hex == 0 && dp_locate_version_text(py->pid, &py->loc, text, sizeof(text)) == 0)
		hex = parse_version(text);
	/* The text appears when the interpreter first asks for it, early in its start. */
	if (hex == 0 && dp_py_age_ms(py->start_time) < DP_STARTING_MS)
		return dp_py_starting(why, len, "its version is not set yet");
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
	if ((hex >> 16 & 255) >= 13 && dp_py_age_ms(py->start_time) < DP_STARTING_MS)
		return dp_py_starting(why, len, "its runtime is not mapped yet");
	if (dp_layout_for(hex >> 16 & 255, py->loc.musl, &py->layout) < 0) {
		snprintf(why, len, "CPython %s: dora-probe reads CPython " DP_PYTHONS,
			 py->info.version);
		return -ENOTSUP;
	}
	return 0;
}
