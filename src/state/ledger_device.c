/* Devices as commands see them. Guarantees: what is added is checked before it becomes an entry, and has its place in
 * the device's history even within a second; a status is that of now, by the deltas of the device's manager as they are
 * committed. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/dms.h"
#include "state/entry.h"
#include "state/ledger.h"
#include "state/ledger_parts.h"

int ledger_read_begin(struct state *st, struct err *e)
{
	struct index *ix = ledger_reading(st, e);

	return ix ? index_read_begin(ix, e) : -1;
}

void ledger_read_end(struct state *st)
{
	index_read_end(st->index);
}

/* --- adding --- */

int ledger_device_seq(struct state *st, const char *id, int64_t *ret, struct err *e)
{
	SCOPED_ARENA *scratch = arena_new();
	struct asking a = { .st = st };
	struct device_entry *v;
	size_t n = 0;

	while (ask(&a, e))
		a.r = index_device_entries(a.ix, scratch, id, &v, &n, e);
	*ret = 1;
	for (size_t i = 0; i < n; i++)
		*ret = v[i].seq >= *ret ? v[i].seq + 1 : *ret;
	return a.r;
}

int ledger_add_device(struct state *st, const struct device_entry *rec, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct device_entry r = *rec;

	if (r.time == 0)
		r.time = st->env.now;
	if (!r.actor)
		r.actor = st->operator_;
	if (rec_check(a, &device_entry_type, &r, e) != 0)
		return -1;
	if (r.seq == 0 && ledger_device_seq(st, r.device, &r.seq, e) != 0)
		return -1;
	return ledger_add_entry(st, "devices",
				arena_printf(a, "%s.%s.%s.yaml", entry_device_label(a, r.device),
					     ledger_stamp(a, r.time), ledger_writer(st, a)),
				&device_entry_type, &r, (struct bytes){ 0 }, e);
}

/* --- deltas --- */

/* Kept until the policy moves: a listener asks for devices thousands of times. */
static void load_deltas(struct state *st)
{
	struct arena *results = st->arena;
	struct err ignored = { 0 };
	struct strv ids;
	size_t n = 0;

	if (st->deltas && oid_equal(&st->deltas_of, &st->policy.commit))
		return;
	st->arena = st->lasting;
	if (state_ids(st, &dms_type, &ids, &ignored) != 0)
		ids.n = 0;
	st->deltas = arena_new_array(st->arena, ids.n + 1, struct dms_deltas);
	for (size_t i = 0; i < ids.n; i++) {
		const struct reenrollment_settings *again;
		struct dms d;

		/* What is not valid has the usual deltas: that the record is broken is for others to say. */
		if (state_get(st, &dms_type, ids.v[i], &d, &ignored) != 0)
			continue;
		again = &d.settings.reenrollment_settings;
		st->deltas[n++] = (struct dms_deltas){ ids.v[i],
						       { again->preventive_delta.secs, again->critical_delta.secs } };
	}
	st->ndeltas = n;
	st->deltas_of = st->policy.commit;
	st->arena = results;
}

static struct query_target target_of(struct state *st)
{
	load_deltas(st);
	return (struct query_target){ .devices = true, .deltas = st->deltas, .ndeltas = st->ndeltas };
}

static void set_status(struct state *st, struct device *d)
{
	struct device_deltas deltas = DEVICE_DELTAS_DEFAULT;

	load_deltas(st);
	for (size_t i = 0; d->dms && i < st->ndeltas; i++)
		if (strcmp(st->deltas[i].dms, d->dms) == 0)
			deltas = st->deltas[i].deltas;
	device_set_status(d, deltas, st->env.now);
}

/* --- reading --- */

int ledger_find_device(struct state *st, const char *id, bool *ret_found, struct device *ret, struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_find_device(a.ix, st->arena, id, ret_found, ret, e);
	if (a.r == 0 && *ret_found)
		set_status(st, ret);
	return a.r;
}

static int add_versions(struct state *st, struct device *d, struct err *e)
{
	SCOPED_BUF b = buf_init(BUF_BIG);
	struct certrec *v;
	size_t n;

	if (ledger_device_certs(st, d, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s\"%zu\":\"%s\"", i ? "," : "{", i, v[i].serial_number);
	if (n)
		d->identity.versions = arena_printf(st->arena, "%s}", buf_str(&b));
	return 0;
}

int ledger_device(struct state *st, const char *id, struct device *ret, struct err *e)
{
	struct device d;
	bool found;

	if (device_id_check(id, e) != 0 || ledger_find_device(st, id, &found, &d, e) != 0)
		return -1;
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "device \"%s\" is not registered",
			       text_escape(st->arena, bytes_of(id)));
	if (add_versions(st, &d, e) != 0)
		return -1;
	*ret = d;
	return 0;
}

static int query_ids(struct state *st, struct arena *scratch, const struct query *q, int64_t **ids, size_t *n,
		     bool *more, struct err *e)
{
	struct query_target target = target_of(st);
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_query(a.ix, scratch, &target, q, st->env.now, ids, n, more, e);
	return a.r;
}

int ledger_devices(struct state *st, const struct query *q, struct device **ret, size_t *ret_n, char **ret_next,
		   struct err *e)
{
	SCOPED_ARENA *scratch = arena_new();
	struct index *ix;
	struct device *v;
	int64_t *ids;
	bool more;
	size_t n;

	if (query_ids(st, scratch, q, &ids, &n, &more, e) != 0)
		return -1;
	ix = ledger_reading(st, e);
	if (!ix)
		return -1;
	v = arena_new_array(st->arena, n + 1, struct device);
	for (size_t i = 0; i < n; i++) {
		if (index_get_device(ix, st->arena, ids[i], &v[i], e) != 0)
			return -1;
		set_status(st, &v[i]);
	}
	*ret = v;
	*ret_n = n;
	*ret_next = more ? query_bookmark(st->arena, q, q->offset + (int64_t)n) : NULL;
	return 0;
}

/* Rows of one moment: a transaction of the cache each, which keeps nobody waiting for `cb`. */
static int read_devices(struct state *st, struct arena *rows, const int64_t *ids, size_t n, struct device *v,
			struct err *e)
{
	struct index *ix;
	int r = 0;

	if (state_index(st, &ix, e) != 0 || index_read_begin(ix, e) != 0)
		return -1;
	for (size_t i = 0; i < n && r == 0; i++)
		r = index_get_device(ix, rows, ids[i], &v[i], e);
	index_read_end(ix);
	return r;
}

int ledger_each_device(struct state *st, const struct query *q,
		       int (*cb)(void *arg, const struct device *, struct err *), void *arg,
		       struct err *e)
{
	SCOPED_ARENA *scratch = arena_new();
	int64_t *ids;
	bool more;
	size_t n;
	int r = 0;

	if (query_ids(st, scratch, q, &ids, &n, &more, e) != 0)
		return -1;
	for (size_t i = 0; i < n && r == 0; i += LEDGER_ROWS) {
		size_t some = n - i < LEDGER_ROWS ? n - i : LEDGER_ROWS;
		SCOPED_ARENA *rows = arena_new();
		struct device *v = arena_new_array(rows, some, struct device);

		r = read_devices(st, rows, ids + i, some, v, e);
		for (size_t k = 0; k < some && r == 0; k++) {
			set_status(st, &v[k]);
			r = cb(arg, &v[k], e);
		}
	}
	return r;
}

int ledger_device_counts(struct state *st, const struct query *q, int64_t ret[DEVICE_STATUSES], struct err *e)
{
	struct query_target target = target_of(st);
	SCOPED_ARENA *scratch = arena_new();
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_device_count(a.ix, scratch, &target, q, st->env.now, ret, e);
	return a.r;
}

int ledger_bootstrap_count(struct state *st, int64_t *ret_all, int64_t *ret_revoked, struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_bootstrap(a.ix, ret_all, ret_revoked, e);
	return a.r;
}

int ledger_device_certs(struct state *st, const struct device *d, struct certrec **ret, size_t *ret_n, struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_device_certs(a.ix, st->arena, d->id, d->since, st->env.now, ret, ret_n, e);
	return a.r;
}

/* --- history --- */

struct events {
	struct arena *a;
	struct device_event *v;
	size_t n;
};

static void add_event(struct events *ev, struct device_event x)
{
	ev->v = arena_grow(ev->a, ev->v, ev->n, sizeof(*ev->v));
	ev->v[ev->n++] = x;
}

static void entry_event(struct events *ev, const struct device_entry *x)
{
	static const char *const types[] = {
		[DEVICE_REGISTER] = "CREATED", [DEVICE_CHANGE] = "SHADOW-UPDATED",
				    [DEVICE_DECOMMISSION] = "DECOMMISSIONED",
		[DEVICE_DELETE] = "DELETED", [DEVICE_BLOCK] = "BLOCKED", [DEVICE_UNBLOCK] = "UNBLOCKED",
				  [DEVICE_NOTE] = ""
	};
	char *what = arena_strdup(ev->a, x->action == DEVICE_NOTE ? x->type : types[x->action]), *text = NULL;

	if (x->action == DEVICE_REGISTER && x->dms)
		text = arena_printf(ev->a, "Registered with %s", x->dms);
	else if (x->action == DEVICE_CHANGE && x->metadata)
		text = arena_printf(ev->a, "Metadata %s", x->metadata);
	add_event(ev, (struct device_event){ .time = x->time, .type = what, .description = text, .actor = x->actor,
					     .reason = x->reason });
}

static void cert_events(struct events *ev, const struct certrec *c, size_t version)
{
	const char *how = c->bind ? c->bind : version == 0 ? "PROVISIONED" : "RENEWED";
	const char *reason = c->revocation_reason < 0 ? NULL : revocation_reason_names[c->revocation_reason];

	add_event(ev, (struct device_event){ .time = c->issued_at, .type = arena_strdup(ev->a, how),
					     .serial_number = c->serial_number,
					     .description = arena_printf(ev->a, "New Active Version set to %zu",
									 version) });
	if (c->status == CERT_REVOKED || c->status == CERT_HELD)
		add_event(ev, (struct device_event){ .time = c->revoked_at, .serial_number = c->serial_number,
						     .type = arena_strdup(ev->a,
									  c->status == CERT_HELD ? "HELD" : "REVOKED"),
						     .description = arena_printf(ev->a, "Version %zu", version),
						     .reason = arena_strdup(ev->a, reason) });
}

/* Stable: what happened in one second stays in the order of its sources. */
static void sort_events(struct events *ev)
{
	for (size_t i = 1; i < ev->n; i++) {
		struct device_event x = ev->v[i];
		size_t k = i;

		for (; k > 0 && ev->v[k - 1].time > x.time; k--)
			ev->v[k] = ev->v[k - 1];
		ev->v[k] = x;
	}
}

int ledger_device_events(struct state *st, const char *id, struct device_event **ret, size_t *ret_n, struct err *e)
{
	struct events ev = { .a = st->arena };
	struct device all = { .id = arena_strdup(st->arena, id), .since = INT64_MIN };
	struct asking a = { .st = st };
	struct device_entry *entries = NULL;
	struct certrec *certs;
	size_t n = 0, ncerts;

	while (ask(&a, e))
		a.r = index_device_entries(a.ix, st->arena, id, &entries, &n, e);
	if (a.r != 0 || ledger_device_certs(st, &all, &certs, &ncerts, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		entry_event(&ev, &entries[i]);
	for (size_t i = 0; i < ncerts; i++)
		cert_events(&ev, &certs[i], i);
	sort_events(&ev);
	*ret = ev.v;
	*ret_n = ev.n;
	return 0;
}
