// SPDX-License-Identifier: MIT
/* dora-probe: one command line, one command. */
#include <string.h>

#include "cli/doctor.h"
#include "cli/options.h"
#include "cli/watch.h"

int main(int argc, char **argv)
{
	static struct dp_options o;
	int code = dp_options_parse(argc, argv, &o);

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
