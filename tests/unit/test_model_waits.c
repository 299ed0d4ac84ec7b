// SPDX-License-Identifier: MIT
/* A deadlock from tables of records: what is proven, and what only waits. */
#include "model/waits.h"

#include "base/array.h"
#include "model_table.h"

#define PID  100
#define MAIN 100
#define W1   101
#define W2   102

static struct dp_link link_of(uint32_t tid, enum dp_wait waits, uint32_t for_tid)
{
	return (struct dp_link){.tid = tid,
				.waits = (uint8_t)waits,
				.for_tid = for_tid,
				.forever = waits != DP_WAIT_NOTHING && waits != DP_WAIT_SLEEP};
}

/* A record of so many links, all of them joined by owners. */
static struct dp_rec_waits chain(unsigned int count, struct dp_link a, struct dp_link b,
				 struct dp_link c)
{
	return (struct dp_rec_waits){.link_count = count,
				     .owned = count,
				     .threads = 5,
				     .looked_at = 5,
				     .links = {a, b, c}};
}

static const struct dp_link none;

static void test_owners(void **state)
{
	struct dp_rec_waits w;

	(void)state;
	w = chain(2, link_of(MAIN, DP_WAIT_THREAD, W1), link_of(W1, DP_WAIT_GIL, 0), none);
	assert_int_equal(waits_proof(&w), DP_PROOF_OWNERS);
	w.status = -3;
	assert_int_equal(waits_proof(&w), DP_PROOF_NONE);
	w = chain(3, link_of(MAIN, DP_WAIT_MUTEX, W1), link_of(W1, DP_WAIT_THREAD, W2),
		  link_of(W2, DP_WAIT_GIL, 0));
	assert_int_equal(waits_proof(&w), DP_PROOF_OWNERS);
	/* It gives up by itself. */
	w.links[1].forever = 0;
	assert_int_equal(waits_proof(&w), DP_PROOF_NONE);
	/* Nobody on the chain wants the GIL. */
	for (int waits = 0; waits < DP_WAIT_COUNT; waits++) {
		w = chain(2, link_of(MAIN, DP_WAIT_MUTEX, W1), link_of(W1, (enum dp_wait)waits, 0),
			  none);
		assert_int_equal(waits_proof(&w),
				 waits == DP_WAIT_GIL ? DP_PROOF_OWNERS : DP_PROOF_NONE);
	}
	/* The holder itself, on its way to take it. */
	w = chain(1, link_of(MAIN, DP_WAIT_GIL, 0), none, none);
	assert_int_equal(waits_proof(&w), DP_PROOF_NONE);
	w = chain(0, none, none, none);
	assert_int_equal(waits_proof(&w), DP_PROOF_NONE);
}

static void test_ends_without_an_owner(void **state)
{
	struct dp_rec_waits w, is;

	(void)state;
	w = chain(2, link_of(MAIN, DP_WAIT_FUTEX, 0), link_of(W1, DP_WAIT_GIL, 0), none);
	w.owned = 1;
	/* Somebody waits for the GIL, and has nothing to do with it. */
	assert_int_equal(waits_proof(&w), DP_PROOF_NONE);
	w.refer_gil = 1;
	assert_int_equal(waits_proof(&w), DP_PROOF_REFERENCE);
	is = w;
	is.library_io = 2;
	assert_int_equal(waits_proof(&is), DP_PROOF_REFERENCE);
	is.library_able = 1;
	assert_int_equal(waits_proof(&is), DP_PROOF_NONE);
	is = w;
	is.refer_able = 1;
	assert_int_equal(waits_proof(&is), DP_PROOF_NONE);
	is = w;
	is.threads = 2000;
	assert_int_equal(waits_proof(&is), DP_PROOF_NONE);
	/* Whoever has a lock has a reference to it. */
	is = w;
	is.library_able = 1;
	is.links[0].waits = DP_WAIT_LOCK;
	assert_int_equal(waits_proof(&is), DP_PROOF_REFERENCE);
	is.refer_able = 1;
	assert_int_equal(waits_proof(&is), DP_PROOF_NONE);
	w.refer_gil = 0;
	w.library_gil = 1;
	assert_int_equal(waits_proof(&w), DP_PROOF_LIBRARY);
	w.library_io = 1;
	assert_int_equal(waits_proof(&w), DP_PROOF_NONE);
	w.library_io = 0;
	w.links[0].waits = DP_WAIT_STATIC;
	assert_int_equal(waits_proof(&w), DP_PROOF_LIBRARY);
	w.links[0].waits = DP_WAIT_SHARED; /* another process can end it */
	assert_int_equal(waits_proof(&w), DP_PROOF_NONE);
}

static void waits(struct table *t, double ms, const struct dp_rec_waits *w)
{
	struct dp_record r = record(DP_REC_WAITS, ms, PID, w->links[0].tid);

	r.u.waits = *w;
	feed(t, &r);
}

/* The main thread holds the GIL from 100 on, asleep in a futex, and W1 waits for it. */
static struct table *held(double until)
{
	struct table *t = table_new();
	struct dp_record r;

	node_of(t, 0, PID, "recv", "0.5.0");
	r = record(DP_REC_GIL_WAIT_BEGIN, 105, PID, W1);
	r.u.wait.begin_ns = AT(100);
	r.u.wait.holder_tid = MAIN;
	feed(t, &r);
	for (double ms = 110; ms <= until; ms += 10) {
		r = look(ms, PID, MAIN, 100);
		r.u.look.off_since_ns = AT(101);
		feed(t, &r);
		if (ms == 140) {
			r = record(DP_REC_STACK, ms, PID, MAIN);
			r.u.stack.syscall_nr = 202;
			r.u.stack.state = 'S';
			r.u.stack.asleep_since_ns = AT(101);
			feed(t, &r);
		}
		tick(t, ms + 0.1);
	}
	return t;
}

static void more(struct table *t, double from, double until)
{
	for (double ms = from; ms <= until; ms += 10) {
		struct dp_record r = look(ms, PID, MAIN, 100);

		r.u.look.off_since_ns = AT(101);
		feed(t, &r);
		tick(t, ms + 0.1);
	}
}

static unsigned int deadlocks(const struct table *t)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < count_said(t, DP_FIND_WARNING); i++)
		n += said(t, DP_FIND_WARNING, i)->f.u.warning.kind == DP_WARN_DEADLOCK;
	return n;
}

static void test_two_looks_that_agree(void **state)
{
	struct dp_rec_waits w =
		chain(2, link_of(MAIN, DP_WAIT_THREAD, W1), link_of(W1, DP_WAIT_GIL, 0), none);
	struct table *t = held(1000);
	const struct dp_warning_finding *k;

	(void)state;
	assert_true(count_asked(t, DP_REQ_READ_WAITS) >= 1);
	waits(t, 1001, &w);
	more(t, 1010, 2600);
	assert_int_equal(deadlocks(t), 0);
	waits(t, 2601, &w);
	more(t, 2610, 2650);
	assert_int_equal(deadlocks(t), 1);
	k = &said(t, DP_FIND_WARNING, count_said(t, DP_FIND_WARNING) - 1)->f.u.warning;
	assert_int_equal(k->kind, DP_WARN_DEADLOCK);
	assert_int_equal(k->cause, DP_CAUSE_DEADLOCK);
	assert_int_equal(k->chain_proof, DP_PROOF_OWNERS);
	assert_non_null(k->chain);
	assert_int_equal(k->chain->link_count, 2);
	table_free(t);
}

/* The same, but its worker sleeps: one native call that waits, however long. */
static void test_a_wait_is_no_deadlock(void **state)
{
	struct dp_rec_waits w =
		chain(2, link_of(MAIN, DP_WAIT_THREAD, W1), link_of(W1, DP_WAIT_SLEEP, 0), none);
	struct table *t = held(1000);
	const struct dp_warning_finding *k;

	(void)state;
	snprintf(w.links[1].thread, sizeof(w.links[1].thread), "worker");
	for (double ms = 1000; ms < 8000; ms += 500) {
		waits(t, ms + 1, &w);
		more(t, ms + 10, ms + 500);
	}
	assert_int_equal(deadlocks(t), 0);
	assert_true(count_said(t, DP_FIND_WARNING) >= 2);
	k = &said(t, DP_FIND_WARNING, count_said(t, DP_FIND_WARNING) - 1)->f.u.warning;
	assert_int_equal(k->cause, DP_CAUSE_GIL_NATIVE);
	assert_int_equal(k->chain_proof, DP_PROOF_NONE);
	assert_non_null(k->chain);
	assert_int_equal(k->chain->links[1].waits, DP_WAIT_SLEEP);
	assert_non_null(
		strstr(said(t, DP_FIND_WARNING, count_said(t, DP_FIND_WARNING) - 1)->advice,
		       "the call waits for the end of thread worker (101), which sleeps; "));
	table_free(t);
}

/* What the second thread does is said where it could be read, and not guessed where it could not. */
static void test_words_of_the_second_thread(void **state)
{
	static const struct {
		uint8_t waits;
		const char *words;
	} rows[] = {
		{DP_WAIT_NOTHING, "waits for a mutex of thread worker (101), which runs"},
		{DP_WAIT_GIL, "waits for a mutex of thread worker (101), which waits for the GIL"},
		{DP_WAIT_SLEEP, "waits for a mutex of thread worker (101), which sleeps"},
		{DP_WAIT_LOCK, "waits for a mutex of thread worker (101), which waits itself"},
		{DP_WAIT_SYSCALL,
		 "waits for a mutex of thread worker (101), which is in a system call"},
		{DP_WAIT_UNKNOWN, "waits for a mutex of thread worker (101)"},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_rec_waits w = chain(2, link_of(MAIN, DP_WAIT_MUTEX, W1),
					      link_of(W1, rows[i].waits, 0), none);
		char words[WAITS_WORDS_MAX];

		snprintf(w.links[1].thread, sizeof(w.links[1].thread), "worker");
		waits_words(&w, words);
		assert_string_equal(words, rows[i].words);
	}
}

/* A chain of another holder, or one that changes from look to look, proves nothing. */
static void test_chains_that_do_not_agree(void **state)
{
	struct dp_rec_waits w =
		chain(2, link_of(MAIN, DP_WAIT_THREAD, W1), link_of(W1, DP_WAIT_GIL, 0), none);
	struct dp_rec_waits other =
		chain(2, link_of(W2, DP_WAIT_THREAD, W1), link_of(W1, DP_WAIT_GIL, 0), none);
	struct table *t = held(1000);

	(void)state;
	for (double ms = 1000; ms < 5000; ms += 500) {
		waits(t, ms + 1, &other);
		w.links[0].for_tid = w.links[1].tid = (int)(ms / 500) % 2 ? W1 : W2;
		waits(t, ms + 2, &w);
		more(t, ms + 10, ms + 500);
	}
	assert_int_equal(deadlocks(t), 0);
	table_free(t);
}

/*
 * A hold whose stacks say that the collector runs, called by a library: neither line is to blame, and
 * the user's own is named.
 */
static void test_the_collector_is_named(void **state)
{
	for (int collecting = 0; collecting < 2; collecting++) {
		struct table *t = held(130);
		struct dp_record r = record(DP_REC_STACK, 131, PID, MAIN);
		const struct said *s = NULL;

		(void)state;
		r.u.stack.syscall_nr = -1;
		r.u.stack.state = 'R';
		r.u.stack.collecting = (uint8_t)collecting;
		r.u.stack.frame_count = 2;
		snprintf(r.u.stack.thread, DP_THREAD_MAX, "worker-3");
		snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "dumps");
		snprintf(r.u.stack.frames[0].file, DP_FILE_MAX, "/usr/lib/python3.11/json/a.py");
		r.u.stack.frames[0].line = 7;
		snprintf(r.u.stack.frames[1].function, DP_FUNCTION_MAX, "on_image");
		snprintf(r.u.stack.frames[1].file, DP_FILE_MAX, "/node/x.py");
		r.u.stack.frames[1].line = 12;
		feed(t, &r);
		more(t, 140, 700);
		for (unsigned int i = 0; i < count_said(t, DP_FIND_WARNING); i++)
			if (said(t, DP_FIND_WARNING, i)->f.u.warning.kind == DP_WARN_GIL_HOLD)
				s = said(t, DP_FIND_WARNING, i);
		assert_non_null(s);
		assert_string_equal(s->function, collecting ? "<garbage collection>" : "dumps");
		assert_int_equal(s->f.u.warning.place.collecting, collecting);
		assert_int_equal(s->f.u.warning.place.line, collecting ? 0 : 7);
		assert_int_equal(s->f.u.warning.place.user_line, 12);
		assert_string_equal(s->f.u.warning.place.user_function, "on_image");
		assert_string_equal(s->f.u.warning.place.thread, "worker-3");
		assert_int_equal(strstr(s->advice, "gc.freeze()") != NULL, collecting);
		table_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_ends_without_an_owner),
		cmocka_unit_test(test_two_looks_that_agree),
		cmocka_unit_test(test_a_wait_is_no_deadlock),
		cmocka_unit_test(test_words_of_the_second_thread),
		cmocka_unit_test(test_chains_that_do_not_agree),
		cmocka_unit_test(test_the_collector_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
