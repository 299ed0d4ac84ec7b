/* SPDX-License-Identifier: MIT */
/* Whose is a source file of Python's? */
#ifndef DORA_PROBE_BASE_PYFILE_H
#define DORA_PROBE_BASE_PYFILE_H

#include <stdbool.h>

/*
 * Is it of the standard library or of an installed package? By its path: site-packages,
 * dist-packages, lib/python3.N, a zip of the library, a frozen module. Code that has no file ("<string>", "<stdin>") is
 * the user's.
 */
bool dp_pyfile_is_library(const char *file);

#endif
