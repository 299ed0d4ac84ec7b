// SPDX-License-Identifier: MIT
/* dora-probe: one command line, one command. */
#include <fcntl.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cli/options.h"
#include "cli/watch.h"

/*
 * Whoever has closed a standard stream wants to hear nothing of it. The next file that is opened would
 * get its number, and with it what is meant for the user: a recording, or a socket.
 */
static int fill_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	static struct dp_options o;
	int code = fill_standard_streams() ? DP_EX_INTERNAL : dp_options_parse(argc, argv, &o);

	if (code >= 0)
		return code;
	switch (o.command) {
	case DP_CMD_LIST:
		return dp_list(&o);
	case DP_CMD_DOCTOR:
		return dp_doctor(o.json);
	case DP_CMD_REPLAY:
		return dp_replay_command(&o);
	case DP_CMD_REPORT:
		return dp_report(&o);
	case DP_CMD_WATCH:
	case DP_CMD_COUNT:
		break;
	}
	return dp_watch(&o);
}
