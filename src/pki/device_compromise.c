/* A device's key was stolen, or may have been. Guarantees: after the commit no certificate of the device is live and it
 * cannot enrol; all that shares a key or a bootstrap certificate with it is in the list, in the order in which somebody
 * should look at it. */
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "pki/device.h"
#include "state/ledger.h"

enum { REASON_KEY_COMPROMISE = 1 };

static const struct field device_touched_fields[] = {
	STR(device_touched, serial_number, "Certificate.", .flags = F_KEY | F_COL),
	STR(device_touched, ca, "Issuing authority.", .flags = F_COL),
	STR(device_touched, device, "Device that it belongs to.", .flags = F_COL),
	STR(device_touched, subject, "Subject."),
	STR(device_touched, status, "Status after this."),
	TIME(device_touched, not_after, "End of its validity."),
	STR(device_touched, why, "What it has to do with it.", .flags = F_COL),
	STR(device_touched, action, "What to do.", .flags = F_COL),
	END
};
const struct schema device_touched_type = {
	.name = "touched", .plural = "touched", .doc = "A certificate that a compromised device touches",
	.size = sizeof(struct device_touched),
	.fields = device_touched_fields
};

struct search {
	struct ctx *ctx;
	const struct device *device;
	const char *why, *action;
	struct device_touched *v;
	size_t n;
};

static int on_cert(void *arg, const struct certrec *c, struct err *e)
{
	struct search *s = arg;
	struct arena *a = s->ctx->arena;

	(void)e;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].serial_number, c->serial_number) == 0 && strcmp(s->v[i].ca, c->ca) == 0)
			return 0;
	if (c->not_after < s->ctx->now)
		return 0;
	s->v = arena_grow(a, s->v, s->n, sizeof(*s->v));
	s->v[s->n++] = (struct device_touched){
		.serial_number = arena_strdup(a, c->serial_number), .ca = arena_strdup(a, c->ca),
		.device = arena_strdup(a, c->device),
		.subject = arena_strdup(a, c->subject), .status = arena_strdup(a, cert_status_names[c->status]),
		.not_after = c->not_after, .why = arena_strdup(a, s->why),
		.action = arena_strdup(a, c->status == CERT_REVOKED ? "" : s->action)
	};
	return 0;
}

static int find(struct search *s, const char *field, const char *value, const char *why, const char *action,
		struct err *e)
{
	struct filter f = { .field = field, .op = OP_EQ, .value = value };
	struct query q = { .filters = &f, .nfilters = 1 };

	s->why = why;
	s->action = action;
	return ledger_each_cert(s->ctx->state, &q, on_cert, s, e);
}

static int find_shared(struct search *s, const struct certrec *c, struct err *e)
{
	const char *credential = any_get(s->ctx->arena, c->metadata, META_AUTHORIZED_BY);

	if (c->key_id && find(s, "key_id", c->key_id, "has the same key", "revoke it: key_compromise", e) != 0)
		return -1;
	if (!credential)
		return 0;
	if (find(s, "serial_number", credential, "it enrolled with this certificate",
		 "revoke it: whoever has its key may enrol", e) != 0)
		return -1;
	return find(s, "metadata." META_AUTHORIZED_BY, credential, "enrolled with the same certificate",
		    "look at the device", e);
}

int device_compromise(struct ctx *ctx, const struct device *d, const char *reason, struct device_touched **ret,
		      size_t *ret_n, struct err *e)
{
	struct device_entry block = { .device = d->id, .action = DEVICE_BLOCK,
				      .reason = arena_strdup(ctx->arena, reason) };
	struct search s = { .ctx = ctx, .device = d };
	struct certrec *v;
	size_t n, revoked;

	if (ledger_device_certs(ctx->state, d, &v, &n, e) != 0 ||
	    device_revoke(ctx, d, REASON_KEY_COMPROMISE, reason, &revoked, e) != 0)
		return -1;
	if (!d->blocked && ledger_add_device(ctx->state, &block, e) != 0)
		return -1;
	if (find(&s, "device", d->id, "is the device's", "", e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (find_shared(&s, &v[i], e) != 0)
			return -1;
	*ret = s.v;
	*ret_n = s.n;
	return 0;
}

void device_ticket(struct ctx *ctx, const struct device *d, const struct device_touched *v, size_t n, struct buf *out)
{
	buf_printf(out, "DEVICE COMPROMISED: %s\n\nAs of %s the keys of device %s (device manager %s) must be "
		   "considered stolen. Its certificates are revoked with reason key_compromise, and it cannot enrol "
		   "until `lamassu device unblock`.\n\n",
		   d->id, tm_format(ctx->arena, ctx->now), d->id, d->dms ? d->dms : "-");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "- %s of %s%s%s: %s%s%s\n", v[i].serial_number, v[i].ca, v[i].device ? ", device " : "",
			   v[i].device ? v[i].device : "", v[i].why, *v[i].action ? "; " : "", v[i].action);
	buf_puts(out, "\nStill to do: publish a new CRL (`lamassu ca crl`), find out how it happened, give the device "
		 "new keys or decommission it.\n");
}
