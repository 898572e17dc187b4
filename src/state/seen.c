/* Nothing goes back. Rollback protection: .git/lamassu/ledger-seen holds the newest ledger commit that this clone
 * has seen. A ledger that no longer contains it was rewritten, and nothing is signed on top of lost revocations. The
 * file is a floor, not the truth: it may lag behind, so it is written without fsync. And the clock: signing refuses
 * a time before the newest entry or this build. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "state/internal.h"
#include "state/locks.h"

static char *file_of(struct state *st)
{
	return fs_join(st->arena, st->private_dir, "ledger-seen");
}

static bool load(struct state *st, struct oid *ret)
{
	SCOPED_ARENA *a = arena_new();
	struct err ignored = { 0 };
	struct bytes text;

	return fs_read(a, file_of(st), 64, &text, &ignored) == 0 && text.n >= 40 &&
	       oid_parse(arena_strndup(a, (const char *)text.p, 40), ret) == 0;
}

/* A commit by somebody else between the reading of the branch and of the file is no rollback: then the branch has moved
 * on. */
int seen_check(struct state *st, struct err *e)
{
	const char *branch = st->ledger.ref + strlen("refs/heads/");
	struct oid seen;
	char *hex;

	for (int tries = 0; tries < 3; tries++) {
		if (!load(st, &seen) || (st->ledger.exists && oid_equal(&seen, &st->ledger.commit)))
			return 0;
		if (st->ledger.exists && store_is_ancestor(st->store, &seen, &st->ledger.commit)) {
			seen_save(st);
			return 0;
		}
		if (state_tip(st, &st->ledger, e))
			return -1;
	}
	hex = oid_hex(st->arena, &seen);
	return err_set(e, ERR_CONFLICT, "the ledger was rolled back or rewritten: branch %s no longer contains "
		       "commit %s, which this clone has seen. Restore it with git branch -f %s %s, or, if "
		       "entries are really to be forgotten, accept that by removing %s", branch, hex, branch,
		       hex, file_of(st));
}

/* One line always has the same length: it is written over the old one, which costs a tenth of making a new file. */
static bool overwrite(struct state *st, struct bytes line)
{
	AUTO_FD fd = open(file_of(st), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && pwrite(fd, line.p, line.n, 0) == (ssize_t)line.n;
}

void seen_save(struct state *st)
{
	SCOPED_ARENA *a = arena_new();
	struct bytes line = bytes_of(arena_printf(a, "%s\n", oid_hex(a, &st->ledger.commit)));
	struct err ignored = { 0 };
	char *tmp;

	if ((st->flags & STATE_DRY_RUN) || !fs_is_dir(st->private_dir) || overwrite(st, line))
		return;
	tmp = tmp_path(a, st->private_dir, "seen");
	if (tmp_write(st->store, tmp, line, 0644, false, &ignored) == 0 && rename(tmp, file_of(st)))
		unlink(tmp);
}

/* The day before this program was built, as the compiler's time zone is unknown; obeys SOURCE_DATE_EPOCH. */
static int64_t build_time(void)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec", date[] = __DATE__; /* "Nov 21 2026" */
	char month[4] = { date[0], date[1], date[2], '\0' };
	struct civil c = { .month = (int)((strstr(months, month) - months) / 3) + 1 };

	c.year = (int)strtol(date + 7, NULL, 10);
	c.day = (int)strtol(date + 4, NULL, 10);
	return tm_from_civil(c) - 86400;
}

int store_commit_time(struct store *s, const struct oid *commit, int64_t *ret, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct bytes text;
	const char *line, *end;

	if (store_read(s, a, commit, OBJ_COMMIT, STORE_COMMIT_MAX, &text, e))
		return -1;
	line = strstr((const char *)text.p, "\ncommitter ");
	end = line ? strchr(line + 1, '\n') : NULL;
	while (line && end && end > line && *end != '>')
		end--;
	if (!line || !end || *end != '>')
		return err_set(e, ERR_INVALID, "commit %s is damaged", oid_hex(a, commit));
	*ret = strtoll(end + 1, NULL, 10);
	return 0;
}

int state_clock_check(struct state *st, struct err *e)
{
	int64_t newest;

	if (store_commit_time(st->store, &st->ledger.commit, &newest, e))
		return -1;
	if (st->env.now < newest - CLOCK_SKEW)
		return err_set(e, ERR_DENIED, "the clock says %s, but the newest entry of the ledger is from %s: set "
			       "the clock, or give the time with --at", tm_format(st->arena, st->env.now),
			       tm_format(st->arena, newest));
	if (st->env.now < build_time())
		return err_set(e, ERR_DENIED, "the clock says %s, but this program was built later: set the clock, or "
			       "give the time with --at", tm_format(st->arena, st->env.now));
	return 0;
}
