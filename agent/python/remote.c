// SPDX-License-Identifier: MIT
/* Bounded copies out of another process's memory. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "python/internal.h"

#define PAGE 4096u

static int remote_errno(int err)
{
	return err == EPERM || err == EACCES ? -EPERM : err == ESRCH ? -ESRCH : -EFAULT;
}

int dp_remote_gather(pid_t pid, const struct dp_span *spans, unsigned int count)
{
	struct iovec local[DP_SPANS_MAX] = {0}, remote[DP_SPANS_MAX] = {0};
	unsigned int whole = 0;
	ssize_t n;

	if (count == 0 || count > DP_SPANS_MAX)
		return -EINVAL;
	for (unsigned int i = 0; i < count; i++) {
		local[i] = (struct iovec){spans[i].buf, spans[i].len};
		remote[i] = (struct iovec){(void *)(uintptr_t)spans[i].addr, spans[i].len};
	}
	n = process_vm_readv(pid, local, count, remote, count, 0);
	if (n < 0) {
		int rc = remote_errno(errno);

		return rc == -EFAULT ? 0 : rc;
	}
	while (whole < count && (size_t)n >= spans[whole].len)
		n -= (ssize_t)spans[whole++].len;
	return (int)whole;
}

/* Bit 63 of a page's entry: present (Documentation/admin-guide/mm/pagemap.rst). */
#define PAGE_PRESENT (1ULL << 63)

/* Pages that are asked for in one call; those between are walked over, which costs less than a call each. */
#define PAGES_AT_ONCE 64

static bool is_known(const struct dp_pages *known, uint64_t page)
{
	for (unsigned int i = 0; i < known->count; i++)
		if (known->page[i] == page)
			return true;
	return false;
}

/* The pages of the spans that are not known yet, ascending, behind those that are. False: too many, or no addresses. */
static bool add_pages(struct dp_pages *known, const struct dp_span *spans, unsigned int count)
{
	uint64_t size = (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned int first = known->count;

	for (unsigned int i = 0; i < count; i++) {
		uint64_t at = spans[i].addr / size;

		if (spans[i].len == 0 || spans[i].addr > INT64_MAX - spans[i].len)
			return false;
		for (; at <= (spans[i].addr + spans[i].len - 1) / size; at++) {
			unsigned int to = known->count;

			if (is_known(known, at))
				continue;
			if (to == DP_PAGES_MAX)
				return false;
			for (; to > first && known->page[to - 1] > at; to--)
				known->page[to] = known->page[to - 1];
			known->page[to] = at;
			known->count++;
		}
	}
	return true;
}

/* Is each of the pages, which lie close together, in memory? */
static bool are_present(int pagemap, const uint64_t *page, unsigned int count)
{
	uint64_t entry[PAGES_AT_ONCE], from = page[0];
	size_t len = (size_t)(page[count - 1] - from + 1) * sizeof(entry[0]);

	if (pread(pagemap, entry, len, (off_t)(from * sizeof(entry[0]))) != (ssize_t)len)
		return false;
	for (unsigned int i = 0; i < count; i++)
		if (!(entry[page[i] - from] & PAGE_PRESENT))
			return false;
	return true;
}

bool dp_remote_resident(int pagemap, const struct dp_span *spans, unsigned int count,
			struct dp_pages *known)
{
	struct dp_pages all = *known;

	if (!add_pages(&all, spans, count))
		return false;
	for (unsigned int i = known->count, n; i < all.count; i += n) {
		for (n = 1; i + n < all.count && all.page[i + n] - all.page[i] < PAGES_AT_ONCE; n++)
			;
		if (!are_present(pagemap, &all.page[i], n))
			return false;
	}
	*known = all;
	return true;
}

int dp_remote_read(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct dp_span span = {addr, buf, len};
	int rc = dp_remote_gather(pid, &span, 1);

	return rc < 0 ? rc : rc == 1 ? 0 : -EFAULT;
}

int dp_remote_u64(pid_t pid, uint64_t addr, uint64_t *ret)
{
	uint64_t v = 0;
	int rc = dp_remote_read(pid, addr, &v, sizeof(v));

	if (rc == 0)
		*ret = v;
	return rc;
}

int dp_remote_u32(pid_t pid, uint64_t addr, uint32_t *ret)
{
	uint32_t v = 0;
	int rc = dp_remote_read(pid, addr, &v, sizeof(v));

	if (rc == 0)
		*ret = v;
	return rc;
}

/*
 * process_vm_readv(2) only promises partial transfers at the borders of remote elements, so each
 * element ends at a page.
 */
ssize_t dp_remote_read_some(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec local, remote[9];
	unsigned int count = 0;
	size_t done = 0;
	ssize_t n;

	while (done < len && count < 9) {
		size_t piece = PAGE - (size_t)((addr + done) % PAGE);

		if (piece > len - done)
			piece = len - done;
		remote[count++] = (struct iovec){(void *)(uintptr_t)(addr + done), piece};
		done += piece;
	}
	local = (struct iovec){buf, done};
	n = process_vm_readv(pid, &local, 1, remote, count, 0);
	if (n < 0) {
		int rc = remote_errno(errno);

		return rc == -EFAULT ? 0 : rc;
	}
	return n;
}
