/* Certificates as files, for people. Guarantees: only files named certs/<ca>/<serial>.pem are written or removed, none
 * of them through a symlink, and no commit fails because of them. */
#include "state/view.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "state/internal.h"
#include "state/ledger.h"

enum { DROP_PAGE = 100 };

static bool wanted(const struct state *st)
{
	return st->config.view > 0 && store_workdir(st->store);
}

static char *file_of(struct state *st, const struct certrec *c)
{
	const char *ca = id_valid(c->ca) ? c->ca : "other"; /* "-": imported, issuer unknown */

	return arena_printf(st->arena, "%s/certs/%s/%s.pem", store_workdir(st->store), ca, c->serial_number);
}

static int show(struct state *st, const struct certrec *c, struct err *e)
{
	char *path = file_of(st, c);
	char *dir = arena_strndup(st->arena, path, (size_t)(strrchr(path, '/') - path));
	struct bytes text;

	return ledger_cert_pem(st, c, &text, e) != 0 || fs_mkdirs(dir, 0777, e) != 0 ? -1 : fs_put(path, text, 0666, e);
}

static int page(struct state *st, int64_t offset, int64_t size, struct certrec **ret, size_t *ret_n, struct err *e)
{
	struct query q = { .offset = offset, .page_size = size }; /* newest first: the order of the ledger */
	char *next;

	return ledger_certs(st, &q, ret, ret_n, &next, e);
}

static int show_newest(struct state *st, int64_t n, struct err *e)
{
	struct certrec *v;
	size_t count;

	if (n == 0 || page(st, 0, n, &v, &count, e) != 0)
		return n == 0 ? 0 : -1;
	for (size_t i = 0; i < count; i++)
		if (show(st, &v[i], e) != 0)
			return -1;
	return 0;
}

static int drop_older(struct state *st, int64_t added, struct err *e)
{
	struct certrec *v;
	size_t n;

	if (page(st, st->config.view, added + DROP_PAGE, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (unlink(file_of(st, &v[i])) != 0 && errno != ENOENT && errno != ENOTDIR)
			return err_sys(e, file_of(st, &v[i]));
	return 0;
}

int64_t view_pending(const struct state *st)
{
	int64_t n = 0;

	for (size_t i = 0; wanted(st) && i < st->nentries; i++)
		n += text_has_prefix(st->entries[i].path, "issued/");
	return n;
}

void view_update(struct state *st, int64_t added)
{
	struct err e = { 0 };

	if (added == 0)
		return;
	added += DROP_PAGE; /* those of the same second are in no order of their own */
	if (show_newest(st, added < st->config.view ? added : st->config.view, &e) != 0 ||
	    drop_older(st, added, &e) != 0)
		state_warn(st, "certs/ is not up to date: %s", e.msg);
}

void view_rebuild(struct state *st)
{
	struct err e = { 0 };

	if (wanted(st) && (show_newest(st, st->config.view, &e) != 0 || drop_older(st, 0, &e) != 0))
		state_warn(st, "certs/ is not up to date: %s", e.msg);
}
