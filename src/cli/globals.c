/* The options that every command takes, and those that every list takes: their rows, their defaults and what the
 * environment adds. Command rows that use the same name or letter win over these. */
#include "cli/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char *const output_names[] = { "table", "json", "yaml", "id", NULL };
const char *const color_names[] = { "auto", "always", "never", NULL };
static const char *const sort_names[] = { "asc", "desc", NULL };

const struct opt global_opts[] = {
	OSTR(globals, repo, 'C', "dir",
	     "The repository; otherwise LAMASSU_REPO, or the nearest parent folder with a lamassu.yaml."),
	OENUM(globals, output, 'o', output_names, "How results are printed."),
	OFLAG(globals, quiet, 'q', "No warnings, no progress, no word about what was done."),
	OFLAG(globals, verbose, 'v', "Say what was committed, and where."),
	OENUM(globals, color, 0, color_names, "Colour; NO_COLOR turns it off too."),
	OFLAG(globals, yes, 'y', "Answer yes to every question."),
	OFLAG(globals, dry_run, 'n', "Show the change as a diff and touch nothing."),
	OSTR(globals, message, 'm', "text", "The subject of the commit."),
	OFLAG(globals, no_input, 0, "Never ask; what is missing is an error."),
	ODUR(globals, lock_timeout, 0, "duration", "How long to wait for another writer."),
	OSTR(globals, at, 0, "time", "Work as if it were this time."),
	OSTR(globals, passphrase_file, 0, "file", "Read the passphrase from the first line of a file."),
	OINT(globals, passphrase_fd, 0, "number", "Read the passphrase from an open file descriptor."),
	OSTR(globals, token_file, 0, "file", "Read the token that says who acts from a file."),
	OINT(globals, token_fd, 0, "number", "Read that token from an open file descriptor."),
	OFLAG(globals, help, 'h', "Show help for the command."),
	OFLAG(globals, version, 0, "Show the version."),
	OEND
};

const struct opt list_opts[] = {
	OLIST(list_args, filter, 0, "filter",
	      "Only what matches field[op]=value; op is one of eq ne ct nc sw ew gt ge lt le bf af in nin. All filters "
	      "must hold. Times may be relative: expires[bf]=30d."),
	OSTR(list_args, sort_by, 0, "field", "Sort by this field."),
	OENUM(list_args, sort_mode, 0, sort_names, "Ascending or descending."),
	OINT(list_args, page_size, 0, "number", "At most this many; 25 unless told."),
	OSTR(list_args, bookmark, 0, "bookmark",
	     "Go on where the last page ended; it carries the filters and the order."),
	OFLAG(list_args, all, 0, "Everything, without pages."),
	OSTR(list_args, columns, 0, "fields", "Columns of the table, separated by commas."),
	OEND
};

void globals_init(struct globals *g)
{
	*g = (struct globals){ .output = -1, .color = -1, .passphrase_fd = -1, .token_fd = -1 };
}

int globals_env(struct globals *g, struct err *e)
{
	const char *repo = getenv("LAMASSU_REPO"), *lock = getenv("LAMASSU_LOCK_TIMEOUT");

	if (g->output < 0)
		g->output = OUT_TABLE;
	if (g->color < 0)
		g->color = COLOR_AUTO;
	if (g->repo == NULL && repo && *repo)
		g->repo = repo;
	if (g->lock_timeout.text == NULL && lock && *lock) {
		g->lock_timeout.text = lock;
		if (dur_parse(lock, &g->lock_timeout.secs, e) != 0)
			return err_ctx(e, "LAMASSU_LOCK_TIMEOUT");
	}
	if (g->passphrase_fd < -1 || g->passphrase_fd > INT_MAX)
		return err_set(e, ERR_USAGE, "--passphrase-fd: no such descriptor");
	if (g->passphrase_file && g->passphrase_fd >= 0)
		return err_set(e, ERR_USAGE, "--passphrase-file and --passphrase-fd exclude each other");
	if (g->token_fd < -1 || g->token_fd > INT_MAX)
		return err_set(e, ERR_USAGE, "--token-fd: no such descriptor");
	if (g->token_file && g->token_fd >= 0)
		return err_set(e, ERR_USAGE, "--token-file and --token-fd exclude each other");
	return 0;
}

static bool carried(const struct query *q, const struct filter *f)
{
	for (size_t i = 0; i < q->nfilters; i++)
		if (strcmp(q->filters[i].field, f->field) == 0 && q->filters[i].op == f->op &&
		    q->filters[i].ignore_case == f->ignore_case && strcmp(q->filters[i].value, f->value) == 0)
			return true;
	return false;
}

/* A page of another list than the one that is asked for would be a wrong answer. */
static int go_on(struct arena *a, const struct list_args *l, struct query *q, struct err *e)
{
	struct query page;
	bool same;

	if (query_from_bookmark(a, l->bookmark, &page, e) != 0)
		return err_ctx(e, "--bookmark");
	same = (l->sort_mode < 0 || q->desc == page.desc) &&
	       (!l->sort_by || (page.sort_by && strcmp(l->sort_by, page.sort_by) == 0));
	for (size_t i = 0; i < q->nfilters; i++)
		same = same && carried(&page, &q->filters[i]);
	if (!same)
		return err_set(e, ERR_USAGE,
			       "--bookmark carries the filters and the order: give the same beside it, or none");
	*q = page;
	return 0;
}

int list_query(struct arena *a, const struct list_args *l, struct query *ret, struct err *e)
{
	struct query q = { .sort_by = l->sort_by, .desc = l->sort_mode == 1, .page_size = 25 };

	if (l->page_size < 1 && l->page_size != INT64_MIN)
		return err_set(e, ERR_USAGE, "--page-size must be at least 1; --all lists everything");
	if (l->all && l->page_size > 0)
		return err_set(e, ERR_USAGE, "--all and --page-size exclude each other");
	q.filters = arena_new_array(a, l->filter.n, struct filter);
	for (; q.nfilters < l->filter.n; q.nfilters++)
		if (filter_parse(a, l->filter.v[q.nfilters], &q.filters[q.nfilters], e) != 0)
			return err_ctx(e, "--filter");
	if (l->bookmark && go_on(a, l, &q, e) != 0)
		return -1;
	if (l->page_size > 0)
		q.page_size = l->page_size;
	if (l->all)
		q.page_size = 0;
	*ret = q;
	return 0;
}
