// SPDX-License-Identifier: MIT
/* A program that embeds Python: host SCRIPT ARGUMENT... */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

int main(int argc, char **argv)
{
	PyConfig config;
	PyStatus status;
	int failed = 2;

	PyConfig_InitPythonConfig(&config);
	config.parse_argv = 0;
	/* A static program cannot load the modules that are libraries: the lot is not needed. */
	config.site_import = 0;
	PyConfig_SetBytesString(&config, &config.home, "/usr");
	PyConfig_SetBytesArgv(&config, argc - 1, argv + 1);
	status = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	if (!PyStatus_Exception(status)) {
		FILE *f = fopen(argv[1], "r");

		failed = f ? PyRun_SimpleFile(f, argv[1]) : 1;
		Py_Finalize();
	}
	return failed != 0;
}
