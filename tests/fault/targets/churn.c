// SPDX-License-Identifier: MIT
/* As a library: churn() starts threads that end at once, `rate` a second, for `seconds`. How many there were. */
#include <pthread.h>
#include <stdint.h>
#include <time.h>

static void *nothing(void *arg)
{
	return arg;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

long churn(long rate, long seconds)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	int64_t begin = now_ns(), end = begin + seconds * 1000000000;
	pthread_attr_t attr;
	long count = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (int64_t now; (now = now_ns()) < end;) {
		pthread_t t;

		if (count > (now - begin) / 1000 * rate / 1000000)
			nanosleep(&pause, NULL);
		else if (pthread_create(&t, &attr, nothing, NULL) == 0)
			count++;
	}
	return count;
}
