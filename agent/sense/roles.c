// SPDX-License-Identifier: MIT
/* Which process is the node (roles.h). */
#include "sense/roles.h"

#include "dora_probe/names.h"

/* A chain of ancestors longer than this is not followed: what /proc says may be a circle. */
#define CHAIN_MAX 64

static struct dp_member *find(struct dp_member *m, size_t n, pid_t pid)
{
	for (size_t i = 0; pid && i < n; i++)
		if (m[i].pid == pid)
			return &m[i];
	return NULL;
}

static bool is_above(struct dp_member *m, size_t n, const struct dp_member *a,
		     const struct dp_member *b)
{
	for (int i = 0; b && i < CHAIN_MAX; i++) {
		b = find(m, n, b->above);
		if (b == a)
			return true;
	}
	return false;
}

static struct dp_member *first_connected(struct dp_member *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (m[i].connected)
			return &m[i];
	return NULL;
}

static bool began_before(const struct dp_member *a, const struct dp_member *b)
{
	return a->start_time != b->start_time ? a->start_time < b->start_time : a->pid < b->pid;
}

/* The role of one that is not connected, beside one that is. */
static enum dp_member_role beside(struct dp_member *m, size_t n, const struct dp_member *x)
{
	bool older = true;

	for (size_t i = 0; i < n; i++) {
		if (!m[i].connected)
			continue;
		if (is_above(m, n, x, &m[i]))
			return DP_MEMBER_WRAPPER;
		if (is_above(m, n, &m[i], x) || !began_before(x, &m[i]))
			older = false;
	}
	return older ? DP_MEMBER_WRAPPER : DP_MEMBER_HELPER;
}

static bool has_python_below(struct dp_member *m, size_t n, const struct dp_member *x)
{
	for (size_t i = 0; i < n; i++)
		if (m[i].python && (&m[i] == x || is_above(m, n, x, &m[i])))
			return true;
	return false;
}

/* The child in which the node is looked for: rather one with a Python, then the newest. */
static struct dp_member *child_of(struct dp_member *m, size_t n, const struct dp_member *x)
{
	struct dp_member *best = NULL;
	bool best_python = false;

	for (size_t i = 0; i < n; i++) {
		bool python;

		if (x ? m[i].above != x->pid || &m[i] == x : find(m, n, m[i].above) != NULL)
			continue;
		python = has_python_below(m, n, &m[i]);
		if (!best || (python && !best_python) ||
		    (python == best_python && began_before(best, &m[i]))) {
			best = &m[i];
			best_python = python;
		}
	}
	return best;
}

/*
 * Is `x` but the launcher of what is below? A program that is no Python, above one that is, is
 * whatever it does; a Python that waits for another program may be a node that has not begun.
 */
static bool hands_on(struct dp_member *m, size_t n, const struct dp_member *x,
		     const struct dp_member *below)
{
	bool python = has_python_below(m, n, below);

	return x->python ? x->waits && python : x->waits || python;
}

/* Nobody is connected: who is taken for the node; NULL only of no members. */
static struct dp_member *presumed(struct dp_member *m, size_t n)
{
	struct dp_member *x = NULL, *below;

	for (size_t i = 0; i < n; i++)
		if (m[i].dora && (!x || is_above(m, n, &m[i], x)))
			x = &m[i];
	if (x)
		return x;
	x = child_of(m, n, NULL);
	for (int i = 0; x && i < CHAIN_MAX; i++) {
		below = child_of(m, n, x);
		if (!below || !hands_on(m, n, x, below))
			break;
		x = below;
	}
	return x ? x : n ? m : NULL;
}

void dp_roles_decide(struct dp_member *m, size_t n)
{
	bool known = first_connected(m, n) != NULL;
	const struct dp_member *node = known ? NULL : presumed(m, n);

	for (size_t i = 0; i < n; i++) {
		m[i].proven = known;
		if (known)
			m[i].role =
				(uint8_t)(m[i].connected ? DP_MEMBER_NODE : beside(m, n, &m[i]));
		else if (&m[i] == node)
			m[i].role = DP_MEMBER_NODE;
		else
			m[i].role =
				(uint8_t)(is_above(m, n, &m[i], node) || began_before(&m[i], node)
						  ? DP_MEMBER_WRAPPER
						  : DP_MEMBER_HELPER);
	}
}
