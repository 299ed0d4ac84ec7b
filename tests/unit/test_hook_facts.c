// SPDX-License-Identifier: MIT
/* What a hook is told of a finding, in its environment. */
#include <errno.h>

#include "hooks_support.h"
#include "base/array.h"

/* ---- facts ---- */

static void facts_reach_the_hook_and_nothing_is_interpolated(void **state)
{
	static const char *const hostile[] = {
		"$(touch $OUT.pwned)",
		"`touch $OUT.pwned`",
		"'; touch $OUT.pwned; '",
		"\"; touch $OUT.pwned",
		"a\nDORA_PROBE_PID=1\n",
		"-rf /",
		"() { :;}; touch $OUT.pwned",
		"%n%s%s",
		"\x1b[2J",
		"\xc3\xbc\xe2\x82\xac",
	};
	struct state *s = *state;
	char pwned[128], want[512];
	size_t i, k;

	snprintf(pwned, sizeof(pwned), "%s.pwned", s->out);
	for (i = 0; i < DP_COUNT_OF(hostile); i++) {
		with(s, "printf '%s|%s' \"$DORA_PROBE_NODE\" \"$DORA_PROBE_PID\" > \"$OUT\"", 0);
		dp_hook_facts_begin(&s->facts, 4242);
		assert_int_equal(dp_hook_fact(&s->facts, "NODE", hostile[i]), 0);
		assert_int_equal(dp_hook_fact_u64(&s->facts, "PID", 4242), 0);
		run(s);
		wait_for(s, 1);
		assert_int_equal(s->answer.result, DP_RESULT_SENT);
		assert_int_equal(s->answer.action, DP_ACTION_HOOK);
		assert_int_equal(s->pid, 4242);
		snprintf(want, sizeof(want), "%s|4242", hostile[i]);
		for (k = 0; want[k]; k++)
			if ((unsigned char)want[k] < ' ')
				want[k] = '?';
		assert_string_equal(contents(s->out), want);
		assert_int_not_equal(access(pwned, F_OK), 0);
	}
}

static void facts_are_bounded(void **state)
{
	struct state *s = *state;
	char big[5000], name[8] = "AAAA";
	unsigned int i;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(dp_hook_fact(&s->facts, "BIG", big), 0);
	assert_int_equal(strlen(s->facts.text[0]), strlen("DORA_PROBE_BIG=") + 255);
	/* Unknown is unset. */
	assert_int_equal(dp_hook_fact(&s->facts, "NONE", NULL), 0);
	assert_int_equal(dp_hook_fact(&s->facts, "NONE", ""), 0);
	assert_int_equal(s->facts.count, 1);
	assert_int_equal(dp_hook_fact(&s->facts, "A=B", "x"), -EINVAL);
	assert_int_equal(dp_hook_fact(&s->facts, "lower", "x"), -EINVAL);
	assert_int_equal(dp_hook_fact(&s->facts, "", "x"), -EINVAL);
	assert_int_equal(dp_hook_fact(&s->facts, "ABCDEFGHIJKLMNOPQRSTU", "x"), -EINVAL);
	for (i = s->facts.count; i < DP_HOOK_FACTS_MAX; i++) {
		name[3] = (char)('A' + i % 26);
		name[2] = (char)('A' + i / 26);
		assert_int_equal(dp_hook_fact(&s->facts, name, big), 0);
	}
	assert_int_equal(dp_hook_fact(&s->facts, "MORE", "x"), -ENOSPC);
	with(s, "env | grep -c ^DORA_PROBE_ > $OUT", 0);
	run(s);
	wait_for(s, 1);
	assert_int_equal(atoi(contents(s->out)), DP_HOOK_FACTS_MAX);
}

static void facts_of_findings(void **state)
{
	static const struct dp_rec_waits chain = {.link_count = 2,
						  .links = {{.tid = 100}, {.tid = 101}}};
	struct state *s = *state;
	struct dp_finding f = {
		.type = DP_FIND_WARNING,
		.t_ns = 17,
		.pid = 99,
		.dataflow = UUID,
		.node = "plot",
		.u.warning = {.kind = DP_WARN_DEADLINE,
			      .severity = DP_SEVERITY_CRITICAL,
			      .cause = DP_CAUSE_GIL_NATIVE,
			      .holder_tid = 100,
			      .place = {.function = "on_image", .file = "x.py", .line = 12},
			      .held_ns = 5,
			      .pending_tokens = DP_NULL,
			      .oldest_pending_ns = DP_NULL,
			      .deadline_ns = 1000,
			      .slack_ns = -3,
			      .not_polling_ns = 7,
			      .asleep_since_ns = 10,
			      .evidence = 1u << DP_EVIDENCE_ASLEEP | 1u << DP_EVIDENCE_GIL_WAIT,
			      .advice = "split it",
			      .chain = &chain,
			      .chain_proof = DP_PROOF_OWNERS},
	};

	assert_int_equal(dp_hook_facts_from(&s->facts, &f), 0);
	assert_int_equal(s->facts.pid, 99);
	with(s, "env | grep ^DORA_PROBE_ | sort > $OUT", 0);
	/* What the caller has under our prefix is not handed on. */
	setenv("DORA_PROBE_PENDING_TOKENS", "forged", 1);
	with(s, "env | grep ^DORA_PROBE_ | LC_ALL=C sort > $OUT", 0);
	run(s);
	wait_for(s, 1);
	unsetenv("DORA_PROBE_PENDING_TOKENS");
	assert_string_equal(contents(s->out),
			    "DORA_PROBE_ADVICE=split it\nDORA_PROBE_ASLEEP_SINCE_NS=10\n"
			    "DORA_PROBE_CAUSE=gil_native\n"
			    "DORA_PROBE_CHAIN=100,101\nDORA_PROBE_CHAIN_PROOF=owners\n"
			    "DORA_PROBE_COLLECTING=false\n"
			    "DORA_PROBE_DATAFLOW=" UUID "\nDORA_PROBE_DEADLINE_NS=1000\n"
			    "DORA_PROBE_EVENT=warning\nDORA_PROBE_EVIDENCE=asleep,gil_wait\n"
			    "DORA_PROBE_FILE=x.py\n"
			    "DORA_PROBE_FUNCTION=on_image\nDORA_PROBE_HELD_NS=5\n"
			    "DORA_PROBE_HOLDER_TID=100\nDORA_PROBE_KIND=deadline\n"
			    "DORA_PROBE_LINE=12\nDORA_PROBE_NODE=plot\n"
			    "DORA_PROBE_NOT_POLLING_NS=7\nDORA_PROBE_PID=99\n"
			    "DORA_PROBE_RESOLVED=false\nDORA_PROBE_SEVERITY=critical\n"
			    "DORA_PROBE_SLACK_NS=-3\nDORA_PROBE_T_NS=17\n");

	f.type = DP_FIND_ACTION;
	f.node = NULL;
	memset(&f.u, 0, sizeof(f.u));
	f.u.action = (struct dp_action_finding){.action = DP_ACTION_NUDGE,
						.result = DP_RESULT_SENT,
						.signal = 2,
						.tid = 100,
						.attempt = 3,
						.reason = "why"};
	assert_int_equal(dp_hook_facts_from(&s->facts, &f), 0);
	run(s);
	wait_for(s, 2);
	assert_string_equal(contents(s->out),
			    "DORA_PROBE_ACTION=nudge\nDORA_PROBE_ATTEMPT=3\n"
			    "DORA_PROBE_DATAFLOW=" UUID "\nDORA_PROBE_DRY_RUN=false\n"
			    "DORA_PROBE_EVENT=action\nDORA_PROBE_PID=99\nDORA_PROBE_REASON=why\n"
			    "DORA_PROBE_RESULT=sent\nDORA_PROBE_SIGNAL=SIGINT\nDORA_PROBE_TID=100\n"
			    "DORA_PROBE_T_NS=17\n");
	f.type = DP_FIND_EXIT;
	assert_int_equal(dp_hook_facts_from(&s->facts, &f), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(facts_reach_the_hook_and_nothing_is_interpolated),
		T(facts_are_bounded),
		T(facts_of_findings),

	};

	return cmocka_run_group_tests_name("hooks: facts", tests, NULL, NULL);
}
