// SPDX-License-Identifier: MIT
/*
 * The layout tables of agent/python/layout.c against a CPython's own headers, by the compiler of the architecture: built once
 * for each release of CPython and each architecture. Prints a line for each offset that differs; exit code 1 then.
 */
#define Py_BUILD_CORE 1
#include <Python.h>

#include <frameobject.h>
#include <stddef.h>
#include <stdio.h>

#include <internal/pycore_runtime.h>

#include <internal/pycore_interp.h>
#if PY_MINOR_VERSION >= 11
#include <internal/pycore_frame.h>
#endif
#if PY_MINOR_VERSION >= 14
#include <internal/pycore_debug_offsets.h>
#include <internal/pycore_interpframe_structs.h>
#endif

#undef _GNU_SOURCE
#include "python/internal.h"

static int wrong, compared;

static void same(const char *what, unsigned int table, size_t headers)
{
	compared++;
	if (table == headers)
		return;
	wrong++;
	printf("%s: %u in the table, %zu in the headers\n", what, table, headers);
}

#define AT(field, type, member) same(#field, l.field, offsetof(type, member))

static void gil(struct dp_layout l)
{
	AT(gil_interval, struct _gil_runtime_state, interval);
	AT(gil_last_holder, struct _gil_runtime_state, last_holder);
	AT(gil_locked, struct _gil_runtime_state, locked);
	AT(gil_switch_number, struct _gil_runtime_state, switch_number);
	AT(gil_cond, struct _gil_runtime_state, cond);
	AT(gil_mutex, struct _gil_runtime_state, mutex);
	AT(gil_switch_cond, struct _gil_runtime_state, switch_cond);
	same("gil_size", l.gil_size, sizeof(struct _gil_runtime_state));
}

static void objects(struct dp_layout l)
{
	AT(ob_type, PyObject, ob_type);
	AT(bytes_size, PyVarObject, ob_size);
	AT(bytes_data, PyBytesObject, ob_sval);
	AT(str_length, PyASCIIObject, length);
	AT(str_state, PyASCIIObject, state);
	same("str_ascii_data", l.str_ascii_data, sizeof(PyASCIIObject));
	same("str_compact_data", l.str_compact_data, sizeof(PyCompactUnicodeObject));
	if (l.type_cached_keys != DP_NO_OFFSET)
		AT(type_cached_keys, PyHeapTypeObject, ht_cached_keys);
	AT(co_filename, PyCodeObject, co_filename);
	AT(co_name, PyCodeObject, co_name);
	AT(co_firstlineno, PyCodeObject, co_firstlineno);
#if PY_MINOR_VERSION < 10
	AT(co_lines, PyCodeObject, co_lnotab);
#else
	AT(co_lines, PyCodeObject, co_linetable);
#endif
}

static void threads(struct dp_layout l)
{
	AT(ts_next, PyThreadState, next);
	AT(ts_interp, PyThreadState, interp);
	AT(ts_thread_id, PyThreadState, thread_id);
	AT(is_next, PyInterpreterState, next);
	AT(is_collecting, PyInterpreterState, gc.collecting);
#if PY_MINOR_VERSION >= 12
	AT(is_modules, PyInterpreterState, imports.modules);
#else
	AT(is_modules, PyInterpreterState, modules);
#endif
	AT(rt_interp_head, _PyRuntimeState, interpreters.head);
	AT(rt_interp_main, _PyRuntimeState, interpreters.main);
	AT(rt_main_thread, _PyRuntimeState, main_thread);
#if PY_MINOR_VERSION >= 11
	AT(ts_native_id, PyThreadState, native_thread_id);
	AT(is_threads_head, PyInterpreterState, threads.head);
#else
	AT(is_threads_head, PyInterpreterState, tstate_head);
#endif
}

#if PY_MINOR_VERSION < 11
static void version(struct dp_layout l)
{
	AT(rt_gil, _PyRuntimeState, ceval.gil);
	AT(rt_signals_pending, _PyRuntimeState, ceval.signals_pending);
#if PY_MINOR_VERSION >= 9
	AT(is_drop_request, PyInterpreterState, ceval.gil_drop_request);
#endif
	AT(ts_frame, PyThreadState, frame);
	AT(fr_back, PyFrameObject, f_back);
	AT(fr_code, PyFrameObject, f_code);
	AT(fr_lasti, PyFrameObject, f_lasti);
}
#elif PY_MINOR_VERSION == 11
static void version(struct dp_layout l)
{
	AT(rt_gil, _PyRuntimeState, ceval.gil);
	AT(rt_signals_pending, _PyRuntimeState, ceval.signals_pending);
	AT(is_drop_request, PyInterpreterState, ceval.gil_drop_request);
	AT(ts_cframe, PyThreadState, cframe);
	AT(cframe_frame, _PyCFrame, current_frame);
	AT(fr_back, _PyInterpreterFrame, previous);
	AT(fr_code, _PyInterpreterFrame, f_code);
	AT(fr_ip, _PyInterpreterFrame, prev_instr);
	AT(fr_owner, _PyInterpreterFrame, owner);
	AT(co_qualname, PyCodeObject, co_qualname);
	AT(co_bytecode, PyCodeObject, co_code_adaptive);
}
#elif PY_MINOR_VERSION == 12
static void version(struct dp_layout l)
{
	AT(rt_signals_pending, _PyRuntimeState, ceval.signals_pending);
	AT(is_gil, PyInterpreterState, ceval.gil);
	AT(is_own_gil, PyInterpreterState, ceval.own_gil);
	AT(is_drop_request, PyInterpreterState, ceval.gil_drop_request);
	AT(ts_cframe, PyThreadState, cframe);
	AT(cframe_frame, _PyCFrame, current_frame);
	AT(fr_back, _PyInterpreterFrame, previous);
	AT(fr_code, _PyInterpreterFrame, f_code);
	AT(fr_ip, _PyInterpreterFrame, prev_instr);
	AT(fr_owner, _PyInterpreterFrame, owner);
	AT(co_qualname, PyCodeObject, co_qualname);
	AT(co_bytecode, PyCodeObject, co_code_adaptive);
}
#else
static void version(struct dp_layout l)
{
	AT(rt_main_tstate, _PyRuntimeState, main_tstate);
	AT(ts_eval_breaker, PyThreadState, eval_breaker);
#if PY_MINOR_VERSION >= 14
	AT(is_gil, PyInterpreterState, ceval.gil);
	AT(is_own_gil, PyInterpreterState, ceval.own_gil);
	AT(ts_frame, PyThreadState, current_frame);
	AT(fr_back, _PyInterpreterFrame, previous);
	AT(fr_code, _PyInterpreterFrame, f_executable);
	AT(fr_ip, _PyInterpreterFrame, instr_ptr);
	AT(fr_owner, _PyInterpreterFrame, owner);
	AT(co_qualname, PyCodeObject, co_qualname);
	AT(co_bytecode, PyCodeObject, co_code_adaptive);
#endif
}
#endif

/* 0 and the table's entry, as the agent would take it. */
static int table(struct dp_layout *l)
{
#if PY_MINOR_VERSION >= 14
	static union {
		struct _Py_DebugOffsets offsets;
		uint8_t bytes[DP_DEBUG_OFFSETS_LEN];
	} u = {.offsets = _Py_DebugOffsets_INIT("xdebugpy")};
	uint32_t hexversion;
	uint8_t free_threaded;

	return dp_layout_from_debug_offsets(u.bytes, false, l, &hexversion, &free_threaded);
#elif PY_MINOR_VERSION == 13
	/* Its initializer cannot be had without the interpreter: what the table alone says. */
	return dp_layout_tabled(13, false, l);
#else
	return dp_layout_for(PY_MINOR_VERSION, false, l);
#endif
}

int main(void)
{
	struct dp_layout l;
	int r = table(&l);

	if (r) {
		printf("no layout of 3.%d: %d\n", PY_MINOR_VERSION, r);
		return 1;
	}
	gil(l);
#if PY_MINOR_VERSION == 13
	same("rt_main_thread", l.rt_main_thread, offsetof(_PyRuntimeState, main_thread));
#else
	objects(l);
	threads(l);
#endif
	version(l);
	printf("%d offsets of %s compared, %d differ\n", compared, PY_VERSION, wrong);
	return wrong != 0;
}
