/* Events as commands see them: what is added is checked before it becomes an entry. */
#include "state/entry.h"
#include "state/ledger.h"
#include "state/ledger_parts.h"

int ledger_add_event(struct state *st, const struct eventrec *rec, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct eventrec r = *rec;

	if (!r.actor)
		r.actor = st->operator_;
	if (rec_check(a, &eventrec_type, &r, e) != 0)
		return err_ctx(e, "event");
	return ledger_add_entry(st, "events",
				arena_printf(a, "%s.%s.%s.yaml", entry_device_label(a, r.subject),
					     ledger_stamp(a, r.time), ledger_writer(st, a)),
				&eventrec_type, &r, (struct bytes){ 0 }, e);
}

int ledger_has_event(struct state *st, const struct eventrec *rec, bool *ret, struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_has_event(a.ix, rec, ret, e);
	return a.r;
}

int ledger_refusals(struct state *st, const char *dms, struct refusal_count **ret, size_t *ret_n, struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_refusals(a.ix, st->arena, dms, ret, ret_n, e);
	return a.r;
}

int ledger_reused(struct state *st, struct use **ret, size_t *ret_n, struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_reused(a.ix, st->arena, ret, ret_n, e);
	return a.r;
}
