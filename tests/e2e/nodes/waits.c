// SPDX-License-Identifier: MIT
/*
 * Calls that wait, with the GIL held by whoever calls them through ctypes.PyDLL. Those that take
 * seconds end by themselves after that time; those named …_gil never do: what they wait for wants
 * the GIL.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Of the Python that loads this; no header of its is needed for these. */
extern int PyGILState_Ensure(void);
extern void PyGILState_Release(int state);
/* Of the C++ runtime: what a compiler puts around a function's static variable. */
extern int __cxa_guard_acquire(long long *guard);
extern void __cxa_guard_release(long long *guard);

static double seconds;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void nap(double s)
{
	struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static void compute(double s)
{
	volatile unsigned long x = 0;

	for (double end = now() + s; now() < end;)
		for (int i = 0; i < 1000; i++)
			x++;
}

/* Time enough for the caller to be asleep by then. */
static void want_gil(void)
{
	nap(0.2);
	PyGILState_Release(PyGILState_Ensure());
}

static pthread_t start(void *(*f)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, f, arg) != 0)
		abort();
	pthread_setname_np(t, "waits-worker");
	return t;
}

static void *does_sleep(void *arg) { (void)arg; nap(seconds); return NULL; }
static void *does_compute(void *arg) { (void)arg; compute(seconds); return NULL; }
static void *does_want_gil(void *arg) { (void)arg; want_gil(); return NULL; }

void join_sleep(double s) { seconds = s; pthread_join(start(does_sleep, NULL), NULL); }
void join_compute(double s) { seconds = s; pthread_join(start(does_compute, NULL), NULL); }
void join_gil(double s) { (void)s; pthread_join(start(does_want_gil, NULL), NULL); }

/* A worker that waits for another worker. */
static void *does_join_gil(void *arg) { (void)arg; join_gil(0); return NULL; }
void join_join_gil(double s) { (void)s; pthread_join(start(does_join_gil, NULL), NULL); }

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *with_mutex(void *arg)
{
	pthread_mutex_lock(&mutex);
	if (arg)
		want_gil();
	else
		nap(seconds);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void lock_mutex(void *arg)
{
	pthread_t t = start(with_mutex, arg);

	nap(0.1);
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	pthread_join(t, NULL);
}

void mutex_sleep(double s) { seconds = s; lock_mutex(NULL); }
void mutex_gil(double s) { (void)s; lock_mutex(&mutex); }

/* Four workers and a count that all of them bring to zero; the last one wakes the caller. */
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pool_done = PTHREAD_COND_INITIALIZER;
static int pool_left, pool_wanting;

static void *pool_worker(void *arg)
{
	int me = (int)(long)arg;

	if (me < pool_wanting)
		want_gil();
	else if (seconds > 0 && me % 2)
		compute(seconds);
	else
		nap(seconds);
	pthread_mutex_lock(&pool_lock);
	if (--pool_left == 0)
		pthread_cond_signal(&pool_done);
	pthread_mutex_unlock(&pool_lock);
	return NULL;
}

static void run_pool(double s, int wanting)
{
	seconds = s;
	pool_left = 4;
	pool_wanting = wanting;
	for (long i = 0; i < 4; i++)
		pthread_detach(start(pool_worker, (void *)i));
	pthread_mutex_lock(&pool_lock);
	while (pool_left)
		pthread_cond_wait(&pool_done, &pool_lock);
	pthread_mutex_unlock(&pool_lock);
}

void pool_work(double s) { run_pool(s, 0); }
/* All but one are through at once, and that one wants the GIL. */
void pool_gil(double s) { (void)s; run_pool(0, 1); }

/*
 * One worker wants the GIL and the caller does not wait for it: another one posts after a while. So
 * it looks like a deadlock and is none.
 */
static void *posts(void *sem) { nap(seconds); sem_post(sem); return NULL; }
void sem_beside_gil(double s)
{
	sem_t sem;

	seconds = s;
	sem_init(&sem, 0, 0);
	pthread_detach(start(does_want_gil, NULL));
	pthread_t t = start(posts, &sem);

	while (sem_wait(&sem) < 0 && errno == EINTR)
		;
	pthread_join(t, NULL);
}

void cond_timed(double s)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += (time_t)s;
	pthread_mutex_lock(&m);
	while (pthread_cond_timedwait(&c, &m, &t) == 0)
		;
	pthread_mutex_unlock(&m);
}

static long long guard;

static void initialise(void)
{
	if (!__cxa_guard_acquire(&guard))
		return;
	want_gil();
	__cxa_guard_release(&guard);
}

static void *does_initialise(void *arg) { (void)arg; initialise(); return NULL; }
void static_gil(double s) { (void)s; start(does_initialise, NULL); nap(0.1); initialise(); }

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *does_once(void *arg) { (void)arg; pthread_once(&once, want_gil); return NULL; }
void once_gil(double s) { (void)s; start(does_once, NULL); nap(0.1); pthread_once(&once, want_gil); }
