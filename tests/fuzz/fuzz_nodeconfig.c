// SPDX-License-Identifier: MIT
/* libFuzzer harness of the node configuration: any text is refused or gives a sane result. */
#include <stdlib.h>
#include <string.h>

#include "dora/nodeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(const char *s, size_t cap)
{
	const char *end = memchr(s, '\0', cap);

	if (!end)
		abort();
	for (; s < end; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dp_node_config c;

	memset(&c, 0x5a, sizeof(c));
	if (dp_node_config_parse((const char *)data, size, &c)) {
		if (c.family != 0x5a5a)
			abort(); /* touched on failure */
		return 0;
	}
	check_string(c.dataflow, sizeof(c.dataflow));
	check_string(c.dataflow_name, sizeof(c.dataflow_name));
	check_string(c.node, sizeof(c.node));
	if (strlen(c.dataflow) != 36 || !c.node[0] || c.transport >= DP_TRANSPORT_COUNT ||
	    !memchr(c.socket_path, '\0', sizeof(c.socket_path)))
		abort();
	if (c.transport == DP_TRANSPORT_TCP && !c.port)
		abort();
	return 0;
}
