/* Refused attempts. Guarantees: whoever is refused, however often, makes neither memory nor disk nor ledger grow
 * without bound: the log is cut into a few files of limited size, summaries are counted by keys of closed lists.
 * Nothing secret is in them: no header, no body, no credential. Nothing that fails here fails a request. */
#include "serve/refusals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "state/ledger.h"

enum { KEYS_MAX = 4096, LOG_MAX = 4 << 20, LOG_FILES = 4, HOUR = 3600, RETRY_SECS = 60, PENDING_MAX = 1 << 20 };

struct key {
	char *type, *dms, *reason;
	int64_t hour, count, first, last;
	bool put;
};

struct refusal_log {
	struct ctx *ctx;
	struct arena *arena;
	const char *log, *pending;
	int fd;
	off_t size;
	struct key *keys;
	size_t n;
	int64_t retry_at;
	bool finish;
};

static int64_t now_of(const struct refusal_log *r)
{
	return r->ctx->now_given ? r->ctx->now : tm_now();
}

/* --- the log --- */

struct attempt {
	char *dms, *device, *operation, *reason, *address;
	int64_t status;
};
struct cloudevent {
	char *specversion, *id, *source, *type, *subject, *datacontenttype;
	int64_t time;
	struct attempt data;
};
static const struct field attempt_fields[] = {
	STR(attempt, dms, "Device manager."),
	STR(attempt, device, "Device."),
	STR(attempt, operation, "What was asked for."),
	STR(attempt, reason, "Why it was refused."),
	INT(attempt, status, "HTTP status.", .flags = F_SHOW0),
	STR(attempt, address, "Who asked."),
	END
};
static const struct schema attempt_type = { .name = "attempt", .doc = "A refused attempt",
					    .size = sizeof(struct attempt), .fields = attempt_fields };
static const struct field cloudevent_fields[] = {
	STR(cloudevent, specversion, "1.0."),
	STR(cloudevent, id, "Random."),
	STR(cloudevent, source, "Who says so."),
	STR(cloudevent, type, "What happened."),
	STR(cloudevent, subject, "To what."),
	TIME(cloudevent, time, "When."),
	STR(cloudevent, datacontenttype, "application/json."),
	OBJ(cloudevent, data, &attempt_type, "More of it."),
	END
};
static const struct schema cloudevent_type = { .name = "cloudevent", .doc = "An event (CloudEvents 1.0)",
					       .size = sizeof(struct cloudevent),
					       .fields = cloudevent_fields };

static void open_log(struct refusal_log *r)
{
	struct stat st;

	r->fd = open(r->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	r->size = r->fd >= 0 && fstat(r->fd, &st) == 0 ? st.st_size : 0;
}

static void rotate(struct refusal_log *r)
{
	SCOPED_ARENA *a = arena_new();

	close(r->fd);
	for (int i = LOG_FILES - 1; i > 0; i--) {
		const char *from = i > 1 ? arena_printf(a, "%s.%d", r->log, i - 1) : r->log;

		if (rename(from, arena_printf(a, "%s.%d", r->log, i)) != 0 && errno != ENOENT && i == 1 &&
		    truncate(r->log, 0) != 0)
			break; /* it cannot be cut either: the next line says so by failing */
	}
	open_log(r);
}

static char *shown(struct arena *a, const char *s)
{
	return s && *s ? text_escape(a, bytes_of(s)) : NULL;
}

static void log_line(struct refusal_log *r, const struct refused *x)
{
	static char version[] = "1.0", source[] = "source://lamassu.io/ctx/source/service/est-serve",
				json[] = "application/json";
	SCOPED_ARENA *a = arena_new();
	SCOPED_BUF text = buf_init(BUF_TEXT);
	unsigned char id[16];
	struct err ignored = { 0 };
	struct cloudevent ev = { .specversion = version, .source = source, .datacontenttype = json, .time = now_of(r),
				 .type = arena_strdup(a, x->type), .subject = x->realm
					 ? arena_printf(a, "dms/%s", shown(a, x->realm)) : NULL,
				 .data = { shown(a, x->realm), shown(a, x->subject), shown(a, x->op),
					   shown(a, x->reason), shown(a, x->address),
					   x->status } };

	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return;
	ev.id = hex_encode(a, (struct bytes){ id, sizeof(id) });
	rec_json(&cloudevent_type, &ev, 0, &text);
	buf_putc(&text, '\n');
	if (r->fd >= 0 && r->size + (off_t)text.n > LOG_MAX)
		rotate(r);
	if (r->fd >= 0 && fs_write_fd(r->fd, buf_bytes(&text), &ignored) == 0)
		r->size += (off_t)text.n;
}

/* --- counting --- */

static void count(struct refusal_log *r, const struct key *x)
{
	size_t i = 0;
	struct key *k;

	while (i < r->n && (r->keys[i].hour != x->hour || strcmp(r->keys[i].reason, x->reason) != 0 ||
			    strcmp(r->keys[i].dms, x->dms) != 0 ||
			    strcmp(r->keys[i].type, x->type) != 0))
		i++;
	if (i == KEYS_MAX)
		return;
	if (i == r->n) {
		r->keys = arena_grow(r->arena, r->keys, r->n, sizeof(*r->keys));
		r->keys[r->n++] = (struct key){ .type = arena_strdup(r->arena, x->type),
						.dms = arena_strdup(r->arena, x->dms),
						.reason = arena_strdup(r->arena, x->reason), .hour = x->hour,
						.first = x->first };
	}
	k = &r->keys[i];
	k->count += x->count;
	k->first = x->first < k->first ? x->first : k->first;
	k->last = x->last > k->last ? x->last : k->last;
}

void refusals_add(struct refusal_log *r, const struct refused *x)
{
	int64_t now = now_of(r);
	SCOPED_ARENA *a = arena_new();

	if (!x->silent)
		log_line(r, x);
	if (x->realm && x->reason)
		count(r, &(struct key){ .type = arena_strdup(a, x->type), .dms = arena_strdup(a, x->realm),
					.reason = arena_strdup(a, x->reason), .hour = now - now % HOUR, .count = 1,
					.first = now, .last = now });
}

bool refusals_due(const struct refusal_log *r)
{
	int64_t now = now_of(r);

	for (size_t i = 0; r->n && (r->finish || now >= r->retry_at) && i < r->n; i++)
		if (r->finish || r->keys[i].hour + HOUR <= now)
			return true;
	return false;
}

void refusals_finish(struct refusal_log *r)
{
	r->finish = true;
}

/* --- the ledger --- */

static int put_one(struct refusal_log *r, struct state *st, struct key *k, struct err *e)
{
	const struct eventrec ev = { .type = k->type, .subject = arena_printf(r->arena, "dms/%s", k->dms),
				     .time = k->hour, .dms = k->dms, .reason = k->reason, .count = k->count,
				     .first = k->first, .last = k->last };
	int64_t now = now_of(r);
	bool there;

	if (ledger_has_event(st, &ev, &there, e) != 0)
		return -1;
	if (there) { /* an earlier listener's: those of this one count with the next hour's */
		if (k->hour + HOUR <= now)
			k->hour = now - now % HOUR;
		return 0;
	}
	k->put = ledger_add_event(st, &ev, e) == 0;
	return k->put ? 0 : -1;
}

void refusals_put(struct refusal_log *r, struct state *st)
{
	int64_t now = now_of(r);
	struct err e = { 0 };

	for (size_t i = 0; i < r->n; i++)
		if ((r->finish || r->keys[i].hour + HOUR <= now) && put_one(r, st, &r->keys[i], &e) != 0) {
			ctx_warn(r->ctx, "refusals are not summed up: %s", e.msg);
			r->retry_at = now + RETRY_SECS;
			return;
		}
}

void refusals_committed(struct refusal_log *r, bool yes)
{
	struct arena *a = arena_new();
	struct key *old = r->keys;
	size_t n = r->n;
	struct arena *before = r->arena;

	/* What is left moves to a new arena, so that years need no more memory than an hour. */
	if (!yes)
		r->retry_at = now_of(r) + RETRY_SECS;
	r->arena = a;
	r->keys = NULL;
	r->n = 0;
	for (size_t i = 0; i < n; i++)
		if (!yes || !old[i].put)
			count(r, &old[i]);
	arena_free(before);
	r->finish = false;
}

/* --- from one listener to the next: "TYPE DMS REASON COUNT FIRST LAST" a line --- */

static void load(struct refusal_log *r)
{
	SCOPED_ARENA *a = arena_new();
	struct err ignored = { 0 };
	int64_t now = now_of(r);
	struct bytes text;
	char *line, *rest;

	if (fs_read(a, r->pending, PENDING_MAX, &text, &ignored) != 0)
		return;
	rest = arena_strndup(a, (const char *)text.p, text.n);
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *type = strsep(&line, " "), *dms = strsep(&line, " "), *reason = strsep(&line, " ");
		struct key k = { .type = type, .dms = dms, .reason = reason, .hour = now - now % HOUR };

		if (!line)
			continue;
		k.count = strtoll(line, &line, 10);
		k.first = strtoll(line, &line, 10);
		k.last = strtoll(line, &line, 10);
		if (id_valid(dms) && k.count > 0 && k.first > 0 && k.first <= k.last && k.last <= now)
			count(r, &k);
	}
	unlink(r->pending);
}

void refusals_end(struct refusal_log *r)
{
	SCOPED_BUF text = buf_init(BUF_BIG);
	struct err e = { 0 };

	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		buf_printf(&text, "%s %s %s %lld %lld %lld\n", r->keys[i].type, r->keys[i].dms, r->keys[i].reason,
			   (long long)r->keys[i].count, (long long)r->keys[i].first, (long long)r->keys[i].last);
	if (text.n && fs_put(r->pending, buf_bytes(&text), 0600, &e) != 0)
		ctx_warn(r->ctx, "the number of some refusals is lost: %s", e.msg);
	if (r->fd >= 0)
		close(r->fd);
	arena_free(r->arena);
}

struct refusal_log *refusals_new(struct ctx *ctx, const char *dir, struct err *e)
{
	const struct state_env env = { .now = ctx->now };
	struct refusal_log *r = arena_new_array(ctx->arena, 1, struct refusal_log);
	SCOPED_ARENA *a = arena_new();
	struct state *st;

	if (state_open(a, dir, 0, &env, &st, e) != 0)
		return NULL;
	*r = (struct refusal_log){ .ctx = ctx, .arena = arena_new(),
				   .log = arena_printf(ctx->arena, "%s/security.log", state_private(st)),
				.pending = arena_printf(ctx->arena, "%s/refusals", state_private(st)), .fd = -1 };
	state_close(st);
	open_log(r);
	if (r->fd < 0)
		ctx_warn(ctx, "%s cannot be written: refusals are not logged", r->log);
	load(r);
	return r;
}
