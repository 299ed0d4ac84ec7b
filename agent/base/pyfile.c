// SPDX-License-Identifier: MIT
/* Whose a source file is; see pyfile.h. */
#include "base/pyfile.h"

#include <stddef.h>
#include <string.h>

#include "base/array.h"

/* "/lib/python3.11/": where the standard library is, in every prefix. */
static bool is_in_lib_python(const char *file)
{
	for (const char *p = strstr(file, "/python3."); p; p = strstr(p + 1, "/python3.")) {
		const char *end = p + strlen("/python3.");
		size_t before = (size_t)(p - file);

		end += strspn(end, "0123456789t");
		if (*end == '/' && ((before >= 4 && strncmp(p - 4, "/lib", 4) == 0) ||
				    (before >= 6 && strncmp(p - 6, "/lib64", 6) == 0)))
			return true;
	}
	return false;
}

bool dp_pyfile_is_library(const char *file)
{
	static const char *const parts[] = {"/site-packages/", "/dist-packages/", ".zip/"};

	if (strncmp(file, "<frozen", 7) == 0)
		return true;
	for (size_t i = 0; i < DP_COUNT_OF(parts); i++)
		if (strstr(file, parts[i]))
			return true;
	return is_in_lib_python(file);
}
