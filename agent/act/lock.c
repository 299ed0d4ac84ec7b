// SPDX-License-Identifier: MIT
/* One probe at a time acts on a process. */
#include "act/held.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sentence.h"

/*
 * A lock per process, held until it has left. A file with flock() in a directory of our own rather
 * than an abstract socket: that name could be taken by any user (a node could keep the guard away
 * from its neighbours), and it is invisible from another network namespace. The kernel drops the
 * lock with the probe, however it ends; a file left behind means nothing.
 */
static int open_dir(const struct dp_hands *h, int *ret_dir)
{
	struct stat st;
	int dir, err = 0;

	if (mkdir(h->lock_dir, 0755) && errno != EEXIST)
		return -errno;
	dir = open(h->lock_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	if (fstat(dir, &st))
		err = -errno;
	/* Anybody who may write there could unlink our lock, or lay a link in its place. */
	else if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022))
		err = -EACCES;
	if (err)
		close(dir);
	else
		*ret_dir = dir;
	return err;
}

/* Takes the lock of this name. -EBUSY: `other` is the pid of who has it, "" unknown. */
static int take(int dir, const char *name, int *ret_fd, char *other, size_t other_len)
{
	struct stat st;
	int tries;

	for (tries = 0; tries < 8; tries++) {
		int fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			int err = errno == EWOULDBLOCK ? -EBUSY : -errno;
			ssize_t n = pread(fd, other, other_len - 1, 0);

			other[n > 0 ? n : 0] = '\0';
			other[strspn(other, "0123456789")] = '\0';
			close(fd);
			return err;
		}
		/* Unlinked by the one who held it before us: this is nobody's lock any more. */
		if (!fstat(fd, &st) && st.st_nlink > 0) {
			*ret_fd = fd;
			return 0;
		}
		close(fd);
	}
	return -EBUSY;
}

static void say_unlocked(const struct dp_hands *h, int err, const char *other, char *why,
			 size_t len)
{
	struct dp_sentence say;

	dp_sentence_begin(&say, why, len);
	if (err == -EBUSY) {
		dp_say(&say, "another dora-probe");
		dp_say(&say, other[0] ? ", pid " : "");
		dp_say(&say, other);
		dp_say(&say, " already acts on this process");
	} else {
		dp_say(&say, "cannot lock: ");
		dp_say(&say, strerror(-err));
		dp_say(&say, "; mend it with: install -d -m 755 ");
		dp_say(&say, h->lock_dir);
	}
}

int hands_lock(struct dp_hands *h, struct target *t, char *why, size_t len)
{
	char name[64], other[24] = "";
	int dir = -1, fd = -1, err, n;

	if (t->lock_fd >= 0)
		return 0;
	snprintf(name, sizeof(name), "%d-%llu.lock", (int)t->pid,
		 (unsigned long long)t->start_time);
	err = open_dir(h, &dir);
	if (!err)
		err = take(dir, name, &fd, other, sizeof(other));
	hands_close_fd(&dir);
	if (err) {
		say_unlocked(h, err, other, why, len);
		return err;
	}
	/* For the other one's message only, so a failure is none; the lock is the flock. */
	n = snprintf(other, sizeof(other), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) == 0 && pwrite(fd, other, (size_t)n, 0) != n)
		err = 0;
	t->lock_fd = fd;
	return err;
}

void hands_unlock(struct dp_hands *h, struct target *t)
{
	char name[160];

	if (t->lock_fd < 0)
		return;
	/* Safe while the lock is held: a waiter finds its file unlinked and opens anew. */
	snprintf(name, sizeof(name), "%s/%d-%llu.lock", h->lock_dir, (int)t->pid,
		 (unsigned long long)t->start_time);
	unlink(name);
	hands_close_fd(&t->lock_fd);
}
