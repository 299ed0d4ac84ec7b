/* SPDX-License-Identifier: MIT */
/*
 * Tells the service manager how the run stands: the protocol of sd_notify(3), a datagram to the socket that
 * $NOTIFY_SOCKET names. Without that variable nothing is told and nothing fails.
 */
#ifndef DORA_PROBE_NOTIFY_H
#define DORA_PROBE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct dp_notify {
	int fd;               /* -1: nobody to tell */
	uint64_t interval_ns; /* between two signs of life; 0: none is asked for */
	uint64_t next_ns;
};

/*
 * Reads the environment and takes its variables away, so that nothing that is started from here speaks for
 * the run. The socket is connected once: later neither right nor path is needed. Cannot fail: an address that
 * nobody listens at is as none.
 */
void dp_notify_open(struct dp_notify *n);
/* `state`: "READY=1", "STOPPING=1" (sd_notify(3)). Does not wait. */
void dp_notify_tell(struct dp_notify *n, const char *state);
/* A sign of life, when one is due. To be called from the loop that the watchdog is to watch. */
void dp_notify_alive(struct dp_notify *n, uint64_t now_ns);
void dp_notify_close(struct dp_notify *n);

#endif
