// SPDX-License-Identifier: MIT
/*
 * libFuzzer harness of the kernel's answers about sockets (NETLINK_SOCK_DIAG): paths in them are of anybody's
 * choosing. The first byte chooses the family, the second the port or path that is looked for.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sense/sockdiag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
	struct dp_node_config config = {.port = 9, .addr = {127, 0, 0, 1}};
	struct dp_sockets found = {.count = 0};
	void *exact;

	if (size < 2)
		return 0;
	config.family = (uint16_t)families[data[0] % 3];
	config.port = data[1];
	strcpy(config.socket_path, data[1] & 1 ? "/tmp/dora.sock" : "");
	/* A copy of just this length, as aligned as the kernel's buffer. */
	exact = malloc(size - 2 ? size - 2 : 1);
	if (!exact)
		abort();
	memcpy(exact, data + 2, size - 2);
	dp_sockdiag_answer(exact, size - 2, &config, &found);
	if (found.count < 0 || found.count > DP_CLIENTS_MAX)
		abort();
	free(exact);
	return 0;
}
